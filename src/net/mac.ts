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
  let text = pairs[bytes[0] ?? 0] ?? '';
  for (let at = 1; at < 6; at += 1) text += `:${pairs[bytes[at] ?? 0]}`;
  return text as MacAddress;
}
