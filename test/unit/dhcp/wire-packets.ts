import { dhcpOption, ipv4Bytes, textBytes } from '../../../src/pxe/dhcp-options.ts';
import { type DhcpPacket, packDhcpPacket } from '../../../src/pxe/dhcp-packet.ts';
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
  type: 'discover' | 'request',
  { at = 0, via = 'pxe', port = 67, serverId = serverAddress }: About & { serverId?: string },
): WirePacket {
  const selecting = type === 'request' ? { requested: web1, serverId } : {};
  const packet = message({ type, ...selecting, options: speaker.bios });
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
  { at = 0, via = 'pxe', file = 'boot/loader/undionly.kpxe' }: About & { file?: string },
): WirePacket {
  const packet: DhcpPacket = {
    ...message(),
    ...{ op: 'reply', yiaddr: ip(web1), siaddr: serverAddress, file, secs: 0 },
    options: new Map([
      [dhcpOption.messageType, Uint8Array.of(answerTypes[type])],
      [dhcpOption.serverId, ipv4Bytes(serverAddress)],
      [dhcpOption.vendorClass, textBytes('PXEClient')],
    ]),
  };
  return {
    ...{ at, protocol: 'dhcp', via, machine: web1Mac, direction: 'out', summary: '' },
    local: { address: serverAddress, port: 67 },
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

export function httpIn(target: string, { at = 0 }: About): WirePacket {
  const bytes = textBytes(`GET ${target} HTTP/1.1\r\nHost: ${serverAddress}\r\n\r\n`);
  return { ...httpWire, at, direction: 'in', bytes, exchange: { method: 'GET', target } };
}

export function httpOut(
  target: string,
  status: number,
  { at = 0, whole = true, report }: About & { whole?: boolean; report?: string },
): WirePacket {
  const exchange: HttpExchange = {
    ...{ method: report ? 'POST' : 'GET', target, status, whole, bytes: 900 },
    ...(report ? { report: { stage: report, reason: '' } } : {}),
  };
  const bytes = textBytes(`HTTP/1.1 ${status} OK\r\nContent-Length: 900\r\n\r\n`);
  return { ...httpWire, at, direction: 'out', bytes, exchange };
}
