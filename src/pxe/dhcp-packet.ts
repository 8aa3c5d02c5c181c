import { type Ipv4, ipv4FromNumber, ipv4ToNumber } from '../net/ipv4.ts';
import { type DhcpOptions, dhcpOption, parseOptions, readText } from './dhcp-options.ts';
import {
  leastRoom,
  placeOptions,
  roomOfAll,
  writeAllOptions,
  writeOptions,
} from './write-options.ts';

/** A DHCP message (RFC 2131 §2). */
export interface DhcpPacket {
  readonly op: 'request' | 'reply';
  readonly htype: number;
  readonly hlen: number;
  readonly hops: number;
  readonly xid: number;
  /** Seconds since the client began, as it counts them. */
  readonly secs: number;
  /** Whether the client asks for replies by broadcast. */
  readonly broadcast: boolean;
  readonly ciaddr: Ipv4;
  readonly yiaddr: Ipv4;
  readonly siaddr: Ipv4;
  readonly giaddr: Ipv4;
  /** Sixteen bytes, of which `hlen` are the hardware address. */
  readonly chaddr: Uint8Array;
  readonly sname: string;
  readonly file: string;
  readonly options: DhcpOptions;
}

export type ParsedDhcpPacket =
  | { readonly kind: 'packet'; readonly packet: DhcpPacket }
  | { readonly kind: 'refusal'; readonly reason: string };

/** 0.0.0.0, which in a DHCP header means "none". */
export const noAddress: Ipv4 = ipv4FromNumber(0);

const cookie = 0x63825363;
const headerSize = 236;
const snameSize = 64;
const fileSize = 128;

/** A BOOTP message has 300 bytes (RFC 951 §3); relays and old firmware drop shorter ones. */
const leastSize = 300;

/** What every client takes: a datagram of 576 bytes (RFC 2131 §2) less its IP and UDP headers. */
export const defaultMaxBytes = 576 - 28;

/** Reads a message; refuses with a reason what is short, has another cookie or cut-off options. Never throws. */
export function parseDhcpPacket(bytes: Uint8Array): ParsedDhcpPacket {
  if (bytes.length < headerSize + 4) return refusal(`${bytes.length} bytes are no DHCP message`);
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const op = bytes[0];
  if (op !== 1 && op !== 2) return refusal(`op ${op} is neither request nor reply`);
  const hlen = bytes[2] ?? 0;
  if (hlen > 16) return refusal(`a hardware address of ${hlen} bytes`);
  if (data.getUint32(headerSize) !== cookie) return refusal('the magic cookie is missing');

  const sname = () => bytes.subarray(44, 44 + snameSize);
  const file = () => bytes.subarray(108, 108 + fileSize);
  const own = parseOptions([bytes.subarray(headerSize + 4)]);
  if (!own.ok) return refusal(own.reason);
  const overload = own.options.get(dhcpOption.overload)?.[0] ?? 0;
  const parsed = overload
    ? parseOptions([
        bytes.subarray(headerSize + 4),
        ...(overload & 1 ? [file()] : []),
        ...(overload & 2 ? [sname()] : []),
      ])
    : own;
  if (!parsed.ok) return refusal(parsed.reason);
  // It told where options stand, and says nothing more once they are read.
  parsed.options.delete(dhcpOption.overload);

  const address = (at: number) => ipv4FromNumber(data.getUint32(at));
  return {
    kind: 'packet',
    packet: {
      op: op === 1 ? 'request' : 'reply',
      htype: bytes[1] ?? 0,
      hlen,
      hops: bytes[3] ?? 0,
      xid: data.getUint32(4),
      secs: data.getUint16(8),
      broadcast: ((bytes[10] ?? 0) & 0x80) !== 0,
      ciaddr: address(12),
      yiaddr: address(16),
      siaddr: address(20),
      giaddr: address(24),
      chaddr: new Uint8Array(bytes.buffer, bytes.byteOffset + 28, 16),
      sname: overload & 2 || bytes[44] === 0 ? '' : (readText(sname()) ?? ''),
      file: overload & 1 || bytes[108] === 0 ? '' : (readText(file()) ?? ''),
      options: parsed.options,
    },
  };
}

function refusal(reason: string): ParsedDhcpPacket {
  return { kind: 'refusal', reason };
}

/** Whether a message of `maxBytes` has room for what its reader cannot do without. */
export function hasRoom({ options }: DhcpPacket, maxBytes: number): boolean {
  return headerSize + 4 + leastRoom(options) <= maxBytes;
}

/**
 * Packs a message into 300 to `maxBytes` bytes. Options that do not fit go into empty fields `file` and `sname`, or are
 * left out, later ones first;
 * a `file` or `sname` that is too long for its field stays out of it, and its option carries it.
 */
export function packDhcpPacket(packet: DhcpPacket, maxBytes: number = defaultMaxBytes): Uint8Array {
  const room = maxBytes - headerSize - 4;
  const wanted = roomOfAll(packet.options);
  const placed =
    wanted <= room
      ? undefined
      : placeOptions(packet.options, room, {
          file: packet.file === '' ? fileSize : 0,
          sname: packet.sname === '' ? snameSize : 0,
        });
  const size = Math.max(leastSize, headerSize + 4 + (placed?.bytes ?? wanted));
  const bytes = Buffer.allocUnsafe(size).fill(0);
  bytes[0] = packet.op === 'request' ? 1 : 2;
  bytes[1] = packet.htype;
  bytes[2] = packet.hlen;
  bytes[3] = packet.hops;
  bytes.writeUInt32BE(packet.xid, 4);
  bytes.writeUInt16BE(packet.secs, 8);
  bytes.writeUInt16BE(packet.broadcast ? 0x8000 : 0, 10);
  const address = (value: Ipv4, at: number) => {
    if (value !== noAddress) bytes.writeUInt32BE(ipv4ToNumber(value), at);
  };
  address(packet.ciaddr, 12);
  address(packet.yiaddr, 16);
  address(packet.siaddr, 20);
  address(packet.giaddr, 24);
  for (let at = 0; at < Math.min(packet.chaddr.length, 16); at += 1) {
    bytes[28 + at] = packet.chaddr[at] ?? 0;
  }
  // One byte of each field is the closing NUL that firmware relies on.
  if (packet.sname !== '' && packet.sname.length < snameSize) {
    bytes.write(packet.sname, 44, 'latin1');
  }
  if (packet.file !== '' && packet.file.length < fileSize) bytes.write(packet.file, 108, 'latin1');
  if (placed?.file) writeOptions(placed.file, bytes, 108);
  if (placed?.sname) writeOptions(placed.sname, bytes, 44);
  bytes.writeUInt32BE(cookie, headerSize);
  if (placed) writeOptions(placed, bytes, headerSize + 4);
  else writeAllOptions(packet.options, bytes, headerSize + 4);
  return bytes;
}
