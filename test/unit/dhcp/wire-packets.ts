import { dhcpOption, ipv4Bytes, textBytes } from '../../../src/pxe/dhcp-options.ts';
import { type DhcpPacket, noAddress, packDhcpPacket } from '../../../src/pxe/dhcp-packet.ts';
import { encodeTftpPacket } from '../../../src/pxe/tftp-packet.ts';
import type { HttpExchange, TransferEnd, WirePacket } from '../../../src/pxe/wire-packet.ts';
import type { ClientVia } from '../../../src/state/event.ts';
import { ip, serverAddress, web1Mac } from './a-dhcp-site.ts';
import { message, type Said, speaker } from './messages.ts';

interface About {
  readonly at?: number;
  readonly via?: ClientVia;
  readonly port?: number;
}

const web1 = '10.77.0.21';

/** A client's message of web1 as it came. */
export function dhcpIn(
  type: 'discover' | 'request' | 'release',
  {
    at = 0,
    via = 'pxe',
    port = 67,
    serverId = serverAddress,
    arch = 'bios',
  }: About & { serverId?: string; arch?: 'bios' | 'uefi' },
): WirePacket {
  const selecting = type === 'request' ? { requested: web1, serverId } : {};
  const packet = message({ type, ...selecting, options: speaker[arch] });
  return {
    ...{ at, protocol: 'dhcp', via, machine: web1Mac, direction: 'in', summary: '' },
    local: { address: serverAddress, port },
    remote: { address: '0.0.0.0', port: 68 },
    bytes: packDhcpPacket({ ...packet, secs: 0 }),
  };
}

/** The same as a message to be changed. */
export function told(type: 'discover' | 'request', said: Said): DhcpPacket {
  return message({ type, ...said });
}

const answerTypes = { offer: 2, ack: 5, nak: 6 } as const;

/** Our answer to web1. */
export function dhcpOut(
  type: keyof typeof answerTypes,
  {
    at = 0,
    via = 'pxe',
    port = 67,
    file = 'boot/loader/undionly.kpxe',
    address = web1,
  }: About & { file?: string; address?: string },
): WirePacket {
  const packet: DhcpPacket = {
    ...message(),
    ...{
      op: 'reply',
      yiaddr: address === 'none' ? noAddress : ip(address),
      siaddr: serverAddress,
      file,
      secs: 0,
    },
    options: new Map([
      [dhcpOption.messageType, Uint8Array.of(answerTypes[type])],
      [dhcpOption.serverId, ipv4Bytes(serverAddress)],
      [dhcpOption.vendorClass, textBytes('PXEClient')],
    ]),
  };
  return {
    ...{ at, protocol: 'dhcp', via, machine: web1Mac, direction: 'out', summary: '' },
    local: { address: serverAddress, port },
    remote: { address: '255.255.255.255', port: 68 },
    bytes: packDhcpPacket(packet),
  };
}

const tftpWire = {
  protocol: 'tftp',
  summary: '',
  local: { address: serverAddress, port: 69 },
  remote: { address: web1, port: 2070 },
} as const;

export function tftpIn(file: string, { at = 0 }: About): WirePacket {
  const options = new Map([
    ['tsize', '0'],
    ['blksize', '1468'],
  ]);
  const bytes = encodeTftpPacket({ kind: 'rrq', file, mode: 'octet', options });
  return { ...tftpWire, at, direction: 'in', bytes };
}

export function tftpError(message: string, { at = 0 }: About): WirePacket {
  const bytes = encodeTftpPacket({ kind: 'error', code: 1, message });
  return { ...tftpWire, at, direction: 'out', bytes };
}

export function tftpEnd(
  end: Pick<TransferEnd, 'file' | 'outcome'> & Partial<TransferEnd>,
  { at = 0 }: About,
): WirePacket {
  const transfer = {
    ...{ size: 70_000, bytes: 70_000, blockSize: 1468, retransmissions: 0, reason: '' },
    ...end,
  };
  return { ...tftpWire, at, direction: 'out', bytes: new Uint8Array(), transfer };
}

const httpWire = {
  protocol: 'http',
  summary: '',
  local: { address: serverAddress, port: 80 },
  remote: { address: web1, port: 40_000 },
} as const;

type Part = HttpExchange['part'];

export function httpIn(target: string, { at = 0, part }: About & { part?: Part }): WirePacket {
  const bytes = textBytes(`GET ${target} HTTP/1.1\r\nHost: ${serverAddress}\r\n\r\n`);
  const exchange = { method: 'GET', target, ...(part ? { part } : {}) };
  return { ...httpWire, at, direction: 'in', bytes, exchange };
}

export function httpOut(
  target: string,
  status: number,
  about: About & {
    whole?: boolean;
    report?: string;
    reason?: string;
    refused?: string;
    size?: number;
    part?: Part;
  },
): WirePacket {
  const { at = 0, whole = true, report, reason = '', refused, part, size = 900 } = about;
  const exchange: HttpExchange = {
    ...{ method: report ? 'POST' : 'GET', target, status, whole, bytes: size },
    ...(report ? { report: { stage: report, reason } } : {}),
    ...(refused ? { refused } : {}),
    ...(part ? { part } : {}),
  };
  const bytes = textBytes(`HTTP/1.1 ${status} OK\r\nContent-Length: ${size}\r\n\r\n`);
  return { ...httpWire, at, direction: 'out', bytes, exchange };
}
