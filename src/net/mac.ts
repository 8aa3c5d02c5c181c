declare const brand: unique symbol;

/** An Ethernet address, lower case, colons: `52:54:00:00:00:11`. Made only by {@link parseMac}. */
export type MacAddress = string & { readonly [brand]: 'MacAddress' };

/** Reads `52:54:…`, `52-54-…`, `5254.0000.0011` or twelve digits; undefined where it is none. */
export function parseMac(text: string): MacAddress | undefined {
  const digits = text.trim().toLowerCase().replace(/[:.-]/g, '');
  if (!/^[0-9a-f]{12}$/.test(digits)) return undefined;
  return (digits.match(/../g) ?? []).join(':') as MacAddress;
}

/** The six bytes of an address. */
export function macToBytes(mac: MacAddress): Uint8Array {
  return Uint8Array.from(mac.split(':'), (pair) => Number.parseInt(pair, 16));
}

/** Every byte as two digits. */
const pairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** The address of six bytes (more are ignored); undefined where there are fewer. */
export function macFromBytes(bytes: Uint8Array): MacAddress | undefined {
  if (bytes.length < 6) return undefined;
  const maker = threeBytes(bytes, 0);
  const card = threeBytes(bytes, 3);
  const place = (maker ^ card) % lately.texts.length;
  const known = lately.texts[place];
  if (known && lately.makers[place] === maker && lately.cards[place] === card) return known;
  let text = pairs[bytes[0] ?? 0] ?? '';
  for (let at = 1; at < 6; at += 1) text += `:${pairs[bytes[at] ?? 0]}`;
  lately.makers[place] = maker;
  lately.cards[place] = card;
  lately.texts[place] = text as MacAddress;
  return text as MacAddress;
}

function threeBytes(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
}

/**
 * Addresses that were read, one in each place: a machine that asks again has the very text that it had before, which
 * a map finds without comparing characters.
 */
const lately = {
  makers: new Uint32Array(16_384),
  cards: new Uint32Array(16_384),
  texts: Array.from({ length: 16_384 }, (): MacAddress | undefined => undefined),
};
