import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { TransferTerms } from './tftp-options.ts';
import { dataHeader, encodeTftpPacket, parseTftpPacket } from './tftp-packet.ts';
import {
  delayFlight,
  planTransfer,
  stepTransfer,
  type TransferInput,
  type TransferPacket,
  type TransferState,
  type TransferStep,
} from './tftp-transfer.ts';

/** A file as it is given to clients. */
export interface TftpContent {
  /** Bytes. */
  readonly size: number;
  /** Exactly `length` bytes from `offset`; a rejection ends the transfer. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Called once when nothing more will be read. */
  close?(): void;
}

export interface SenderOptions {
  /** The address that was asked; the port is one of the ephemeral ones. */
  readonly address: string;
  readonly remote: { readonly address: string; readonly port: number };
  readonly content: TftpContent;
  readonly terms: TransferTerms;
  /** Milliseconds of a steady clock. */
  readonly clock: () => number;
  /** Shown what is neither data nor an acknowledgement. */
  readonly onControl?: (direction: 'in' | 'out', bytes: Uint8Array) => void;
}

/** One transfer under way. */
export interface Sender {
  readonly state: () => TransferState;
  readonly tell: (input: TransferInput) => void;
  /** The last state, when the socket is closed. */
  readonly ended: Promise<TransferState>;
}

/** The part of a file that was read last. */
interface Chunk {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** What one read takes from a file at least, so that small blocks do not mean many reads. */
const readAhead = 64 * 1024;

/** Sends one file from a port of its own; fails where no socket is to be had. */
export async function startSender(options: SenderOptions): Promise<Sender> {
  const { content, clock } = options;
  const socket = await connectedSocket(options);
  const ended = Promise.withResolvers<TransferState>();
  let state = planTransfer(options.terms, content.size);
  let timer: NodeJS.Timeout | undefined;
  let chunk: Chunk = { offset: 0, bytes: new Uint8Array(0) };
  let reading = false;

  function tell(input: TransferInput): void {
    if (state.phase !== 'sending') return;
    // Nothing of this flight has left yet, so no ACK can be for it.
    if (reading && (input.kind === 'ack' || input.kind === 'start')) return;
    clearTimeout(timer);
    const step = stepTransfer(state, input, clock());
    state = step.state;
    const missing = missingPart(step.send);
    if (missing) void readThenSend(step, missing);
    else carryOut(step);
  }

  function missingPart(packets: readonly TransferPacket[]) {
    const data = packets.filter((packet) => packet.kind === 'data');
    const [first, last] = [data[0], data.at(-1)];
    if (!first || !last) return undefined;
    const end = last.offset + last.length;
    const held = first.offset >= chunk.offset && end <= chunk.offset + chunk.bytes.length;
    if (held || end === first.offset) return undefined;
    const length = Math.min(Math.max(end - first.offset, readAhead), content.size - first.offset);
    return { offset: first.offset, length };
  }

  async function readThenSend(step: TransferStep, part: { offset: number; length: number }) {
    reading = true;
    const began = clock();
    const bytes = await readWhole(content, part.offset, part.length);
    reading = false;
    if (state.phase !== 'sending') return content.close?.();
    if (!bytes) return tell({ kind: 'stop', reason: 'the file cannot be read' });
    chunk = { offset: part.offset, bytes };
    state = delayFlight(state, clock() - began);
    carryOut(step);
  }

  function carryOut(step: TransferStep): void {
    const packets = step.send.map(wireParts);
    const last = packets.pop();
    for (const parts of packets) send(parts);
    if (step.timer === undefined) {
      if (last) send(last, close);
      else close();
      return;
    }
    if (last) send(last);
    timer = setTimeout(tell, step.timer, { kind: 'timeout' });
  }

  function wireParts(packet: TransferPacket): Uint8Array[] {
    if (packet.kind !== 'data') {
      const bytes = encodeTftpPacket(packet);
      options.onControl?.('out', bytes);
      return [bytes];
    }
    const start = packet.offset - chunk.offset;
    return [dataHeader(packet.block), chunk.bytes.subarray(start, start + packet.length)];
  }

  function send(parts: Uint8Array[], sent?: () => void): void {
    socket.send(parts, (error) => {
      if (sent) sent();
      else if (error) socketFailed(error);
    });
  }

  function close(): void {
    socket.close();
    chunk = { offset: 0, bytes: new Uint8Array(0) };
    if (!reading) content.close?.();
    ended.resolve(state);
  }

  // Other errors (no route, a filter) are lost datagrams: the timer deals with them.
  function socketFailed(error: NodeJS.ErrnoException): void {
    if (error.code === 'ECONNREFUSED')
      tell({ kind: 'gone', reason: "the client's port is closed" });
  }

  socket.on('error', socketFailed);
  socket.on('message', (bytes) => {
    const parsed = parseTftpPacket(bytes);
    if (!parsed.ok) return;
    const { packet } = parsed;
    if (packet.kind === 'error') options.onControl?.('in', bytes);
    if (packet.kind === 'ack' || packet.kind === 'error') tell(packet);
  });
  tell({ kind: 'start' });
  return { state: () => state, tell, ended: ended.promise };
}

/** Connected, so that the kernel drops what others send to this port and reports a closed port. */
async function connectedSocket({ address, remote }: SenderOptions): Promise<Socket> {
  const socket = createSocket('udp4');
  try {
    socket.bind({ address, port: 0 });
    await once(socket, 'listening');
    socket.connect(remote.port, remote.address);
    await once(socket, 'connect');
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

async function readWhole(content: TftpContent, offset: number, length: number) {
  try {
    const bytes = await content.read(offset, length);
    return bytes.length === length ? bytes : undefined;
  } catch {
    return undefined;
  }
}
