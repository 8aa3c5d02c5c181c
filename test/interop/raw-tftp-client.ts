import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import {
  encodeTftpPacket,
  parseTftpPacket,
  type TftpPacket,
  type TftpRequest,
} from '../../src/pxe/tftp-packet.ts';

export interface Received {
  readonly packet: TftpPacket;
  readonly from: RemoteInfo;
}

/** A socket that speaks TFTP packet by packet, for what no well-behaved client does. */
export interface RawTftpClient {
  send(packet: TftpPacket | Uint8Array, port: number, address?: string): Promise<void>;
  /** The next packet; fails after two seconds without one. */
  next(): Promise<Received>;
  /** Whatever came within so many milliseconds. */
  during(milliseconds: number): Promise<readonly Received[]>;
  close(): void;
}

export async function openRawTftpClient(address = '127.0.0.1'): Promise<RawTftpClient> {
  const socket = createSocket('udp4');
  socket.bind(0, address);
  await once(socket, 'listening');
  const arrived: Received[] = [];
  let wake = () => {};
  socket.on('error', () => {});
  socket.on('message', (bytes, from) => {
    const parsed = parseTftpPacket(bytes);
    if (parsed.ok) arrived.push({ packet: parsed.packet, from });
    wake();
  });
  const pause = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  return {
    send: (packet, port, to = '127.0.0.1') =>
      new Promise((resolve) => {
        const bytes = packet instanceof Uint8Array ? packet : encodeTftpPacket(packet);
        socket.send(bytes, port, to, () => resolve());
      }),
    next: async () => {
      if (arrived.length === 0) await pause(2000);
      const first = arrived.shift();
      if (!first) throw new Error('no packet came');
      return first;
    },
    during: async (milliseconds) => {
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      return arrived.splice(0);
    },
    close: () => socket.close(),
  };
}

export function readRequest(file: string, options: Record<string, string> = {}): TftpRequest {
  return { kind: 'rrq', file, mode: 'octet', options: new Map(Object.entries(options)) };
}
