import type { MacAddress } from '../net/mac.ts';
import type { ClientVia } from '../state/event.ts';
import { dhcpOption, readIpv4, readText } from './dhcp-options.ts';
import { noAddress, parseDhcpPacket } from './dhcp-packet.ts';
import { parseTftpPacket, printableText, type TftpOptions } from './tftp-packet.ts';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

interface Wire {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The machine that speaks, where the protocol says it; TFTP and HTTP know addresses only. */
  readonly machine?: MacAddress;
  readonly direction: 'in' | 'out';
  /** This server's side. */
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** What it is in words, where the bytes do not say it; else empty. */
  readonly summary: string;
  /** The datagram's content, or the head of an HTTP message; empty where many packets are summed up. */
  readonly bytes: Uint8Array;
}

/** One packet to or from a machine, as the servers show it to whoever looks for what went wrong. */
export type WirePacket =
  | (Wire & { readonly protocol: 'dhcp'; readonly via: ClientVia })
  | (Wire & { readonly protocol: 'tftp'; readonly transfer?: TransferEnd })
  | (Wire & { readonly protocol: 'http'; readonly exchange: HttpExchange });

/** A packet whose machine is known. */
export type MachinePacket = WirePacket & { readonly machine: MacAddress };

/** How a TFTP transfer ended: its data blocks and acknowledgements, summed up. */
export interface TransferEnd {
  readonly file: string;
  /** `cancelled` by a client that only asked for the size, or thought better of it. */
  readonly outcome: 'delivered' | 'cancelled' | 'failed';
  /** Bytes of the file. */
  readonly size: number;
  /** Bytes that the client acknowledged. */
  readonly bytes: number;
  readonly blockSize: number;
  readonly retransmissions: number;
  /** Why it broke off; empty where it did not. */
  readonly reason: string;
}

export interface HttpExchange {
  readonly method: string;
  /** Path and query as they were asked for. */
  readonly target: string;
  /** The answer's status; absent in the request. */
  readonly status?: number;
  /** Bytes of the answer's body. */
  readonly bytes?: number;
  /** Whether the whole answer was handed to the network. */
  readonly whole?: boolean;
  /** The part of a boot set that the path names. */
  readonly part?: 'kernel' | 'initramfs' | 'root' | 'overlay';
  /** Why the machine gets no boot set, where the answer is a script that says so. */
  readonly refused?: string;
  /** What the node reported, where the request is a report. */
  readonly report?: { readonly stage: string; readonly reason: string };
}

/** The packet in a few words for an operator; text from the wire is made printable. */
export function describePacket(packet: WirePacket): string {
  if (packet.summary !== '') return packet.summary;
  switch (packet.protocol) {
    case 'dhcp':
      return describeDhcp(packet.bytes);
    case 'tftp':
      return packet.transfer ? describeEnd(packet.transfer) : describeTftp(packet.bytes);
    case 'http':
      return describeExchange(packet.exchange);
  }
}

const messageNames: Readonly<Record<number, string>> = {
  1: 'DISCOVER',
  2: 'OFFER',
  3: 'REQUEST',
  4: 'DECLINE',
  5: 'ACK',
  6: 'NAK',
  7: 'RELEASE',
  8: 'INFORM',
};

function describeDhcp(bytes: Uint8Array): string {
  const parsed = parseDhcpPacket(bytes);
  if (parsed.kind === 'refusal') return `no DHCP message: ${parsed.reason}`;
  const { packet } = parsed;
  const { options } = packet;
  const type = options.get(dhcpOption.messageType)?.[0] ?? 0;
  const file = packet.file || (readText(options.get(dhcpOption.bootFile)) ?? '');
  const requested = readIpv4(options.get(dhcpOption.requestedAddress));
  const serverId = readIpv4(options.get(dhcpOption.serverId));
  const words = [
    messageNames[type] ?? `message type ${type}`,
    describeMessageClass(options.get(dhcpOption.vendorClass)),
    requested && `of ${requested}`,
    packet.op === 'request' && serverId ? `from server ${serverId}` : '',
    packet.op === 'reply' && packet.yiaddr !== noAddress && packet.yiaddr,
    packet.op === 'request' && packet.ciaddr !== noAddress && `by ${packet.ciaddr}`,
    packet.op === 'reply' && file && `boot file ${printableText(file)}`,
    packet.giaddr !== noAddress && `relay ${packet.giaddr}`,
    packet.op === 'request' && packet.secs > 0 && `after ${packet.secs} s`,
  ];
  return words.filter((word) => word).join(' ');
}

/** `PXEClient:Arch:00007` of `PXEClient:Arch:00007:UNDI:003016`. */
function describeMessageClass(value: Uint8Array | undefined): string {
  const text = printableText(readText(value) ?? '');
  return /^\w+(?::Arch:\d+)?/.exec(text)?.[0] ?? '';
}

function describeTftp(bytes: Uint8Array): string {
  const parsed = parseTftpPacket(bytes);
  if (!parsed.ok) return `no TFTP packet: ${parsed.reason}`;
  const { packet } = parsed;
  switch (packet.kind) {
    case 'rrq':
    case 'wrq':
      return `${packet.kind === 'rrq' ? 'read' : 'write'} request for ${printableText(packet.file)}${describeOptions(packet.options)}`;
    case 'oack':
      return `options agreed${describeOptions(packet.options)}`;
    case 'error':
      return `error ${packet.code}: ${printableText(packet.message)}`;
    case 'data':
      return `data block ${packet.block}, ${packet.data.length} bytes`;
    case 'ack':
      return `acknowledgement of block ${packet.block}`;
  }
}

function describeOptions(options: TftpOptions): string {
  const pairs = [...options].map(([name, value]) => printableText(`${name}=${value}`));
  return pairs.length > 0 ? ` (${pairs.join(' ')})` : '';
}

function describeEnd(end: TransferEnd): string {
  const { file, bytes, blockSize, reason } = end;
  const blocks = Math.ceil(bytes / blockSize);
  const again = end.retransmissions > 0 ? `, ${end.retransmissions} sent again` : '';
  const why = reason && `: ${printableText(reason)}`;
  switch (end.outcome) {
    case 'delivered':
      return `${file} sent: ${bytes} bytes in ${blocks} blocks of ${blockSize}${again}`;
    case 'cancelled':
      return `${file} given up by the client before its first block${why}`;
    case 'failed':
      return `${file} broke off after block ${blocks} (${bytes} of ${end.size} bytes)${again}${why}`;
  }
}

function describeExchange(exchange: HttpExchange): string {
  const { method, target, status, bytes, whole, part, refused, report } = exchange;
  const asked = `${printableText(method)} ${part ?? printableText(target)}`;
  if (status === undefined) return asked;
  const told = report
    ? `: ${printableText(report.stage)}${report.reason && ` (${printableText(report.reason)})`}`
    : refused
      ? `, refused: ${printableText(refused)}`
      : '';
  return `${asked} → ${status}, ${bytes ?? 0} bytes${whole === false ? ', cut short' : ''}${told}`;
}
