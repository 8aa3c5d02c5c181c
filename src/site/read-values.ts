import {
  broadcastAddress,
  type Cidr,
  cidrContains,
  formatCidr,
  type Ipv4,
  ipv4FromNumber,
  ipv4ToNumber,
  netmask,
  parseCidr,
  parseIpv4,
} from '../net/ipv4.ts';
import { type MacAddress, macToBytes, parseMac } from '../net/mac.ts';
import type { YamlPlace } from './yaml-file.ts';

const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Whether the text can be a host name and one part of a domain name (RFC 1123 §2.1), lower case. */
export function isLabel(text: string): boolean {
  return label.test(text);
}

const labelHint = 'lower-case letters, digits and dashes, at most 63, no dash at an end';

/** A name the operator chose as a key: a DNS label. Refuses others with a problem. */
export function checkLabel(place: YamlPlace, what: string, text: string): boolean {
  if (isLabel(text)) return true;
  place.problem(`${text} cannot be the name of a ${what}`, labelHint);
  return false;
}

/** A DNS label written as a value. */
export function readLabel(place: YamlPlace, what: string): string | undefined {
  const text = place.text();
  return text !== undefined && checkLabel(place, what, text) ? text : undefined;
}

/** A domain name of at least one label (RFC 1035 §2.3.4: 253 characters as text), lower case. */
export function readDomain(place: YamlPlace): string | undefined {
  const text = place.text('tokyo.example');
  if (text === undefined) return undefined;
  const ok = text.length <= 253 && text.split('.').every(isLabel);
  return ok
    ? text
    : place.problem(`${text} is no domain name`, `such as tokyo.example; each part: ${labelHint}`);
}

/** A dotted quad. */
export function readIpv4(place: YamlPlace): Ipv4 | undefined {
  const text = place.text('10.77.0.11');
  if (text === undefined) return undefined;
  const address = parseIpv4(text);
  if (address) return address;
  const hint = text.includes('/')
    ? `without the prefix: ${text.split('/')[0]}`
    : text.includes(':')
      ? 'IPv4 only, such as 10.77.0.11'
      : 'four numbers from 0 to 255 without leading zeros, such as 10.77.0.11';
  return place.problem(`${text} is no IPv4 address`, hint);
}

/** A network such as `10.77.0.0/24`. */
export function readCidr(place: YamlPlace): Cidr | undefined {
  const text = place.text('10.77.0.0/24');
  if (text === undefined) return undefined;
  const cidr = parseCidr(text);
  if (cidr) return cidr;
  const [address = '', prefix = ''] = text.split('/');
  const host = parseIpv4(address);
  if (host && /^\d{1,2}$/.test(prefix) && Number(prefix) <= 32) {
    const mask = ipv4ToNumber(netmask({ base: host, prefix: Number(prefix) }));
    const base = ipv4FromNumber((ipv4ToNumber(host) & mask) >>> 0);
    return place.problem(
      `${text} is an address in a network, not a network`,
      `type ${base}/${prefix}`,
    );
  }
  return place.problem(`${text} is no network`, 'an address and a prefix, such as 10.77.0.0/24');
}

/** An Ethernet address of one card; refuses group addresses and all zeros, which no card has. */
export function readMac(place: YamlPlace): MacAddress | undefined {
  const text = place.text('52:54:00:00:00:11');
  if (text === undefined) return undefined;
  const mac = parseMac(text);
  if (!mac) {
    return place.problem(`${text} is no MAC address`, 'six pairs, such as 52:54:00:00:00:11');
  }
  const first = macToBytes(mac)[0] ?? 0;
  if (mac === '00:00:00:00:00:00' || (first & 1) === 1) {
    return place.problem(
      `${text} is no MAC address of a card`,
      'read it from the card or firmware',
    );
  }
  return mac;
}

/** Board makers ship whole series with these; they name no single machine. */
const sharedUuids = new Set([
  '00000000-0000-0000-0000-000000000000',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
  '03000200-0400-0500-0006-000700080009',
  '12345678-1234-5678-90ab-cddeefaabbcc',
]);

/** A system UUID (SMBIOS type 1) as text, lower case. */
export function readUuid(place: YamlPlace): string | undefined {
  const text = place.text('4c4c4544-0042-3510-8053-b4c04f4a4b32')?.toLowerCase();
  if (text === undefined) return undefined;
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)) {
    return place.problem(
      `${text} is no UUID`,
      'on the machine: cat /sys/class/dmi/id/product_uuid',
    );
  }
  return sharedUuids.has(text)
    ? place.problem(`many boards have the UUID ${text}`, 'name the machine by mac or serial')
    : text;
}

const fillers = /^(none|0+|0123456789|default string|system serial number|not specified|n\/a)$/i;

/** A serial number (SMBIOS type 1) as printed on the machine; refuses what board makers leave in. */
export function readSerial(place: YamlPlace): string | undefined {
  const text = place.text('CZ12345678')?.trim();
  if (text === undefined) return undefined;
  return fillers.test(text) || /o\.e\.m/i.test(text)
    ? place.problem(`many boards have the serial number "${text}"`, 'name the machine by mac')
    : text;
}

/** Whether a host may have the address: neither the network's own nor its broadcast address. */
export function isHostAddress(subnet: Cidr, address: Ipv4): boolean {
  if (!cidrContains(subnet, address)) return false;
  if (subnet.prefix >= 31) return true;
  return address !== subnet.base && address !== broadcastAddress(subnet);
}

/** `10.77.0.1 to 10.77.0.254`: what hosts of a network may have. */
export function hostRange(subnet: Cidr): string {
  const first = ipv4ToNumber(subnet.base);
  const last = ipv4ToNumber(broadcastAddress(subnet));
  const edge = subnet.prefix >= 31 ? 0 : 1;
  return `${ipv4FromNumber(first + edge)} to ${ipv4FromNumber(last - edge)}`;
}

/** The address of a server, wherever it stands: no multicast or reserved one, nor 0.x.x.x. */
export function readServerAddress(place: YamlPlace): Ipv4 | undefined {
  const address = readIpv4(place);
  if (!address) return undefined;
  const first = Number(address.split('.')[0]);
  if (first > 0 && first < 224) return address;
  return place.problem(`${address} is no server's address`, 'a unicast address, such as 10.77.0.1');
}

/** An address that a host on the network may have; says which are possible. */
export function readHostAddress(
  place: YamlPlace,
  network: { readonly name: string; readonly subnet: Cidr },
): Ipv4 | undefined {
  const address = readIpv4(place);
  if (!address) return undefined;
  if (isHostAddress(network.subnet, address)) return address;
  const why = cidrContains(network.subnet, address)
    ? `is no host's address on network ${network.name} (${formatCidr(network.subnet)})`
    : `is outside network ${network.name} (${formatCidr(network.subnet)})`;
  return place.problem(`${address} ${why}`, `type one from ${hostRange(network.subnet)}`);
}

/** A whole number within bounds. */
export function readWhole(
  place: YamlPlace,
  {
    least,
    most,
    example,
  }: { readonly least: number; readonly most: number; readonly example: number },
): number | undefined {
  const text = place.text(String(example));
  if (text === undefined) return undefined;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  if (value >= least && value <= most) return value;
  return place.problem(
    `${place.name}: ${text} is not possible`,
    `a whole number from ${least} to ${most}`,
  );
}

/** TCP or UDP ports, at least one, none twice. */
export function readPorts(place: YamlPlace): readonly number[] {
  const ports: number[] = [];
  for (const item of place.items()) {
    const text = item.text('80');
    if (text === undefined) continue;
    const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
    if (port < 1 || port > 65535) item.problem(`${text} is no port`, 'a number from 1 to 65535');
    else if (ports.includes(port)) item.problem(`port ${port} is listed twice`, 'once is enough');
    else ports.push(port);
  }
  if (place.items().length === 0) place.problem(`${place.name} is empty`, 'such as port: 80');
  return ports;
}

/** An absolute path in its one spelling, such as `/srv/www`: two others of it would not be seen to be one place. */
export function readAbsolutePath(place: YamlPlace, example = '/srv/www'): string | undefined {
  const text = place.text(example);
  if (text === undefined) return undefined;
  const path = text.replace(/\/$/, '');
  const parts = path.split('/').slice(1);
  const clean =
    /^(\/[A-Za-z0-9._+:@=-]+)+$/.test(path) && !parts.includes('.') && !parts.includes('..');
  return clean ? path : place.problem(`${text} is no absolute path`, `such as ${example}`);
}

/** The path of a block device, better by-id than by a name that changes: `/dev/disk/by-id/virtio-www`. */
export function readDevice(place: YamlPlace): string | undefined {
  const example = '/dev/disk/by-id/virtio-www';
  const path = readAbsolutePath(place, example);
  if (path === undefined || path.startsWith('/dev/')) return path;
  return place.problem(`${path} is no device`, `such as ${example}`);
}
