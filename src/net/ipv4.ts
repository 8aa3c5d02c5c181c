declare const brand: unique symbol;

/** A dotted quad without leading zeros: `10.77.0.11`. Made only by this file. */
export type Ipv4 = string & { readonly [brand]: 'Ipv4' };

/** A network in CIDR form with no host bits set. */
export interface Cidr {
  readonly base: Ipv4;
  /** Prefix length, 0 to 32. */
  readonly prefix: number;
}

/** Reads a dotted quad; undefined where it is none. */
export function parseIpv4(text: string): Ipv4 | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  const ok = parts.every((p) => /^(0|[1-9]\d{0,2})$/.test(p) && Number(p) <= 255);
  return ok ? (text as Ipv4) : undefined;
}

/** The address as an unsigned 32-bit number. */
export function ipv4ToNumber(address: Ipv4): number {
  // Asked several times for every DHCP message: without an array of parts.
  let sum = 0;
  let part = 0;
  for (let at = 0; at < address.length; at += 1) {
    const character = address.charCodeAt(at);
    if (character === dot) {
      sum = sum * 256 + part;
      part = 0;
    } else part = part * 10 + character - zero;
  }
  return sum * 256 + part;
}

const dot = 0x2e;
const zero = 0x30;

const none = '0.0.0.0' as Ipv4;

/** The address of an unsigned 32-bit number. */
export function ipv4FromNumber(value: number): Ipv4 {
  // What most fields of most DHCP messages hold.
  if (value === 0) return none;
  const part = (shift: number) => (value >>> shift) & 255;
  return `${part(24)}.${part(16)}.${part(8)}.${part(0)}` as Ipv4;
}

/** Reads `10.77.0.0/24`; undefined where it is none or has host bits set. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', prefixText = ''] = text.split('/');
  const base = parseIpv4(address);
  if (!base || !/^\d{1,2}$/.test(prefixText)) return undefined;
  const prefix = Number(prefixText);
  if (prefix > 32) return undefined;
  return ipv4ToNumber(base) === (ipv4ToNumber(base) & maskNumber(prefix)) >>> 0
    ? { base, prefix }
    : undefined;
}

function maskNumber(prefix: number): number {
  return prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
}

/** The netmask of a network as a dotted quad. */
export function netmask(cidr: Cidr): Ipv4 {
  return ipv4FromNumber(maskNumber(cidr.prefix));
}

/** The directed broadcast address of a network. */
export function broadcastAddress(cidr: Cidr): Ipv4 {
  return ipv4FromNumber((ipv4ToNumber(cidr.base) | ~maskNumber(cidr.prefix)) >>> 0);
}

/** Whether the network contains the address. */
export function cidrContains(cidr: Cidr, address: Ipv4): boolean {
  return (ipv4ToNumber(address) & maskNumber(cidr.prefix)) >>> 0 === ipv4ToNumber(cidr.base);
}

/** `10.77.0.0/24`. */
export function formatCidr(cidr: Cidr): string {
  return `${cidr.base}/${cidr.prefix}`;
}

/** An address with its network's prefix length: `10.77.0.11/24`. */
export function formatHost(address: Ipv4, subnet: Cidr): string {
  return `${address}/${subnet.prefix}`;
}
