import { type Ipv4, ipv4ToNumber, parseIpv4 } from '../net/ipv4.ts';
import { macToBytes } from '../net/mac.ts';
import type { Endpoint, MachinePacket, WirePacket } from './wire-packet.ts';

/**
 * The packets as a capture file that Wireshark and tcpdump read (draft-ietf-opsawg-pcap, LINKTYPE_ETHERNET).
 * The servers see datagrams and HTTP messages, not frames: Ethernet, IP and TCP headers are made up around
 * them with right addresses, ports, lengths and checksums. What sums up many packets is left out, and an
 * answer's body is left out of its frame, which says how long it was.
 */
export function packPcap(packets: readonly MachinePacket[]): Buffer {
  const flows = new Map<string, Flow>();
  const parts: Buffer[] = [fileHeader()];
  for (const packet of packets) {
    if (packet.bytes.length === 0) continue;
    const { frame, wireLength } = frameOf(packet, flows);
    parts.push(recordHeader(packet.at, frame.length, wireLength), frame);
  }
  return Buffer.concat(parts);
}

interface Frame {
  readonly frame: Buffer;
  /** Bytes that it would have with what is left out. */
  readonly wireLength: number;
}

/** How far each side of a TCP connection has come. */
interface Flow {
  in: number;
  out: number;
}

const ethernet = 1;
const longestFrame = 262_144;

function fileHeader(): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(longestFrame, 16);
  header.writeUInt32LE(ethernet, 20);
  return header;
}

function recordHeader(at: number, length: number, wireLength: number): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(Math.floor(at / 1000), 0);
  header.writeUInt32LE(Math.round(at % 1000) * 1000, 4);
  header.writeUInt32LE(length, 8);
  header.writeUInt32LE(wireLength, 12);
  return header;
}

function frameOf(packet: MachinePacket, flows: Map<string, Flow>): Frame {
  const { from, to } = endsOf(packet);
  const payload = Buffer.from(packet.bytes);
  const body = packet.protocol === 'http' ? bodyLength(packet) : 0;
  const segment =
    packet.protocol === 'http'
      ? tcpSegment(packet, from, to, payload, body, flows)
      : udpDatagram(from, to, payload);
  const protocol = packet.protocol === 'http' ? tcp : udp;
  const missing = Math.min(body, longestPacket - ipHeaderLength - segment.length);
  const ip = ipHeader(from, to, protocol, segment.length + missing);
  const frame = Buffer.concat([ethernetHeader(packet, to), ip, segment]);
  return { frame, wireLength: frame.length + missing };
}

const anyone = '0.0.0.0';
const everyone = '255.255.255.255';

function endsOf({ direction, local, remote }: WirePacket): { from: Endpoint; to: Endpoint } {
  if (direction === 'out') return { from: local, to: remote };
  // A client without an address can only have asked everyone.
  const to = remote.address === anyone ? { ...local, address: everyone } : local;
  return { from: remote, to };
}

/** The server's card is not known here; a locally administered address says that it is made up. */
const serverMac = Uint8Array.of(0x02, 0, 0, 0, 0, 1);
const broadcastMac = new Uint8Array(6).fill(0xff);

function ethernetHeader({ direction, machine }: MachinePacket, to: Endpoint): Buffer {
  const client = macToBytes(machine);
  const target = to.address === everyone ? broadcastMac : direction === 'in' ? serverMac : client;
  const ipv4 = Uint8Array.of(0x08, 0x00);
  return Buffer.concat([target, direction === 'in' ? client : serverMac, ipv4]);
}

const udp = 17;
const tcp = 6;
const ipHeaderLength = 20;
const longestPacket = 65_535;

function ipHeader(from: Endpoint, to: Endpoint, protocol: number, length: number): Buffer {
  const header = Buffer.alloc(ipHeaderLength);
  header.writeUInt8(0x45, 0);
  header.writeUInt16BE(ipHeaderLength + length, 2);
  header.writeUInt8(64, 8);
  header.writeUInt8(protocol, 9);
  header.writeUInt32BE(addressNumber(from), 12);
  header.writeUInt32BE(addressNumber(to), 16);
  header.writeUInt16BE(checksum(header), 10);
  return header;
}

function addressNumber({ address }: Endpoint): number {
  const parsed: Ipv4 | undefined = parseIpv4(address);
  return parsed === undefined ? 0 : ipv4ToNumber(parsed);
}

function udpDatagram(from: Endpoint, to: Endpoint, payload: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(from.port, 0);
  header.writeUInt16BE(to.port, 2);
  header.writeUInt16BE(header.length + payload.length, 4);
  const datagram = Buffer.concat([header, payload]);
  // RFC 768: a checksum of zero is sent as ones, for zero says "none".
  datagram.writeUInt16BE(segmentChecksum(from, to, udp, datagram) || 0xffff, 6);
  return datagram;
}

const pushAck = 0x18;

function tcpSegment(
  packet: MachinePacket,
  from: Endpoint,
  to: Endpoint,
  payload: Buffer,
  body: number,
  flows: Map<string, Flow>,
): Buffer {
  const key = `${packet.remote.address}:${packet.remote.port}`;
  const flow = flows.get(key) ?? { in: 1, out: 1 };
  flows.set(key, flow);
  const [own, other] = packet.direction === 'in' ? [flow.in, flow.out] : [flow.out, flow.in];
  const header = Buffer.alloc(20);
  header.writeUInt16BE(from.port, 0);
  header.writeUInt16BE(to.port, 2);
  header.writeUInt32BE(own, 4);
  header.writeUInt32BE(other, 8);
  header.writeUInt8(5 << 4, 12);
  header.writeUInt8(pushAck, 13);
  header.writeUInt16BE(0xffff, 14);
  flow[packet.direction] = (own + payload.length + body) >>> 0;
  const segment = Buffer.concat([header, payload]);
  // Over a body that is not here no checksum can be made.
  if (body === 0) segment.writeUInt16BE(segmentChecksum(from, to, tcp, segment), 16);
  return segment;
}

function bodyLength(packet: Extract<WirePacket, { protocol: 'http' }>): number {
  return packet.direction === 'out' ? (packet.exchange.bytes ?? 0) : 0;
}

/** With the pseudo header of RFC 768 and RFC 9293 §3.1. */
function segmentChecksum(from: Endpoint, to: Endpoint, protocol: number, segment: Buffer): number {
  const pseudo = Buffer.alloc(12);
  pseudo.writeUInt32BE(addressNumber(from), 0);
  pseudo.writeUInt32BE(addressNumber(to), 4);
  pseudo.writeUInt8(protocol, 9);
  pseudo.writeUInt16BE(segment.length, 10);
  return checksum(Buffer.concat([pseudo, segment]));
}

/** The Internet checksum (RFC 1071). */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2)
    sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
