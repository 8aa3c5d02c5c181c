import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import { type Ipv4, parseIpv4 } from '../net/ipv4.ts';
import { lowPortHint } from '../system/low-ports.ts';
import {
  agreeTerms,
  decideRequest,
  defaultTransferLimits,
  type TransferLimits,
} from './tftp-options.ts';
import { encodeTftpPacket, parseTftpPacket, printableText, tftpError } from './tftp-packet.ts';
import { openOwnPort, type RemotePort, shareListeningPort } from './tftp-port.ts';
import { startSender } from './tftp-sender.ts';
import { type Asked, createSlots, type Slot, type SlotLimits } from './tftp-slots.ts';
import { decideRepeatedRequest, type TransferState } from './tftp-transfer.ts';
import type { TransferEnd, WirePacket } from './wire-packet.ts';

export type TftpEvent =
  /** A client has the whole file; `acknowledged` is false where its last ACK never came. */
  | {
      readonly kind: 'loader-sent';
      readonly name: string;
      readonly remote: Ipv4;
      readonly bytes: number;
      readonly seconds: number;
      readonly retransmissions: number;
      readonly acknowledged: boolean;
    }
  /** A transfer ended before its file did. */
  | {
      readonly kind: 'broken-off';
      readonly name: string;
      readonly remote: Ipv4;
      /** Acknowledged by the client. */
      readonly bytes: number;
      readonly seconds: number;
      readonly retransmissions: number;
      readonly reason: string;
    }
  | {
      readonly kind: 'refused';
      readonly name: string;
      readonly remote: Ipv4;
      readonly reason: string;
    };

export interface TftpServerLimits extends TransferLimits, SlotLimits {
  /** `refused` events a second; a flood of bad requests fills no event log. */
  readonly refusalsPerSecond: number;
}

export const defaultTftpLimits: TftpServerLimits = {
  ...defaultTransferLimits,
  transfers: 1024,
  transfersPerClient: 256,
  waiting: 4096,
  patience: 15_000,
  refusalsPerSecond: 100,
};

export interface TftpServerOptions {
  /** Answers leave from the same address. */
  readonly address: Ipv4;
  /** 69, or 0 for any free one. */
  readonly port: number;
  /**
   * The bytes of the file of a name (without leading slashes), or undefined where there is none. The same
   * array for the same file spares memory: what is sent is prepared once for each.
   */
  readonly open: (name: string) => Promise<Uint8Array | undefined>;
  /**
   * Whether transfers answer from the listening port, for firewalls that let no other through; asked for each one,
   * so that a reloaded site counts from the next on.
   */
  readonly singlePort?: () => boolean;
  readonly onEvent?: (event: TftpEvent) => void;
  /** Shown requests, agreed options, errors, and how each transfer ended. */
  readonly onPacket?: (packet: WirePacket) => void;
  readonly limits?: Partial<TftpServerLimits>;
}

export interface TftpServer {
  readonly port: number;
  /** Takes no more requests, gives running transfers `graceMs` (2000) to end, then ends them. */
  stop(graceMs?: number): Promise<void>;
}

const tooMany = 'too many transfers at once: the client waited in vain';
const stopping = { kind: 'stop', reason: 'the boot server is stopping' } as const;

/**
 * Serves files by TFTP (RFC 1350, 2347, 2348, 2349, 7440), read only, over IPv4.
 * Resolves when it listens; fails with an AppError where it cannot.
 */
export async function startTftpServer(options: TftpServerOptions): Promise<TftpServer> {
  const limits = { ...defaultTftpLimits, ...options.limits };
  const onEvent = options.onEvent ?? (() => {});
  const isSinglePort = options.singlePort ?? (() => false);
  const slots = createSlots(limits);
  const socket = await listen(options.address, options.port);
  const { port: listensAt } = socket.address();
  let stopped: Promise<void> | undefined;
  let refusals = { second: 0, count: 0 };

  function show(
    direction: 'in' | 'out',
    { address, port }: RemotePort,
    bytes: Uint8Array,
    more: { readonly port?: number; readonly transfer?: TransferEnd } = {},
  ): void {
    const { port: own = listensAt, transfer } = more;
    options.onPacket?.({
      ...{ at: Date.now(), protocol: 'tftp', direction, summary: '', bytes },
      local: { address: options.address, port: own },
      remote: { address, port },
      ...(transfer ? { transfer } : {}),
    });
  }

  function receive(bytes: Buffer, from: RemoteInfo): void {
    // Nothing can be sent to port 0.
    if (from.port === 0) return;
    if (!isRequest(bytes)) {
      const sender = slots.of(from)?.sender;
      if (sender?.port === listensAt) sender.receive(bytes);
      if (sender?.port === listensAt || isSinglePort()) return;
    }
    if (stopped) return;
    show('in', from, bytes);
    const parsed = parseTftpPacket(bytes);
    if (!parsed.ok) {
      if (parsed.request) refuse('', from, tftpError.illegalOperation, parsed.reason);
      return;
    }
    const { packet } = parsed;
    if (packet.kind !== 'rrq' && packet.kind !== 'wrq') return;
    const decision = decideRequest(packet);
    if (decision.kind === 'refuse') {
      refuse(packet.file, from, decision.code, decision.message);
      return;
    }
    if (isRepeated(slots.of(from), bytes)) return;
    admit({ from, request: bytes, file: decision.file, options: packet.options });
  }

  /** Whether the request belongs to the transfer that its port already has. */
  function isRepeated(slot: Slot | undefined, request: Buffer): boolean {
    if (!slot) return false;
    const { sender } = slot;
    // Still being opened: the answer is on its way.
    if (!sender) return true;
    const same = request.equals(slot.asked.request);
    switch (decideRepeatedRequest(sender.state(), same, performance.now())) {
      case 'answer-again':
        sender.tell({ kind: 'start' });
        return true;
      case 'ignore':
        return true;
      case 'start-anew':
        sender.tell({ kind: 'gone', reason: 'the client asked anew' });
        return false;
    }
  }

  /**
   * Starts the transfer, or lets the request wait. EDK2 and GRUB take an error for the end of the boot, and
   * repeat a request that is not answered: silence is kinder.
   */
  function admit(asked: Asked): void {
    const place = slots.admit(asked, performance.now());
    if (place === 'start') void run(asked);
    else if (place === 'drop') reportRefused(asked.file, asked.from, tooMany);
  }

  async function run(asked: Asked): Promise<void> {
    const slot = slots.occupy(asked, performance.now());
    try {
      await serve(slot, asked);
    } finally {
      slots.leave(slot);
      startWaiting();
    }
  }

  function startWaiting(): void {
    if (stopped) return;
    for (
      let next = slots.nextWaiting(performance.now());
      next;
      next = slots.nextWaiting(performance.now())
    ) {
      if (next.late) reportRefused(next.asked.file, next.asked.from, tooMany);
      else void run(next.asked);
    }
  }

  /** From the opened file to the end of the transfer. */
  async function serve(slot: Slot, { file, from, options: asked }: Asked): Promise<void> {
    const content = await openFile(file);
    if (content === 'unreadable') {
      return refuse(file, from, tftpError.notDefined, 'the file cannot be read');
    }
    if (!content) return refuse(file, from, tftpError.fileNotFound, 'file not found');
    if (stopped) return;
    try {
      slot.sender = await startSender({
        openPort: (listener) =>
          isSinglePort()
            ? shareListeningPort(socket, from)
            : openOwnPort(options.address, from, listener),
        content,
        terms: agreeTerms(asked, content.length, limits),
        clock: () => performance.now(),
        onControl: (direction, bytes, port) => show(direction, from, bytes, { port }),
      });
    } catch {
      return refuse(file, from, tftpError.notDefined, 'no socket for the transfer');
    }
    if (stopped) slot.sender.tell(stopping);
    report(file, from, await slot.sender.ended, slot.since);
  }

  async function openFile(file: string): Promise<Uint8Array | undefined | 'unreadable'> {
    try {
      return await options.open(file);
    } catch {
      return 'unreadable';
    }
  }

  function report(name: string, from: RemotePort, state: TransferState, startedAt: number): void {
    const about = {
      name: printableText(name),
      remote: clientAddress(from),
      seconds: (performance.now() - startedAt) / 1000,
      retransmissions: state.retransmissions,
    };
    showEnd(about, from, state);
    if (state.phase === 'delivered') {
      const { acknowledged } = state;
      onEvent({ kind: 'loader-sent', ...about, bytes: state.size, acknowledged });
    } else if (state.phase === 'failed') {
      const bytes = Math.min(state.size, Math.max(0, state.acked) * state.terms.blockSize);
      onEvent({ kind: 'broken-off', ...about, bytes, reason: printableText(state.reason) });
    }
  }

  function showEnd(
    { name, retransmissions }: { readonly name: string; readonly retransmissions: number },
    from: RemotePort,
    { phase: outcome, terms, size, acked, reason }: TransferState,
  ): void {
    if (outcome === 'sending') return;
    const { blockSize } = terms;
    const bytes = outcome === 'delivered' ? size : Math.min(size, Math.max(0, acked) * blockSize);
    const end = { file: name, outcome, size, bytes, blockSize, retransmissions };
    const transfer = { ...end, reason: printableText(reason) };
    show('out', from, new Uint8Array(), { transfer });
  }

  function refuse(name: string, from: RemotePort, code: number, reason: string): void {
    const error = encodeTftpPacket({ kind: 'error', code, message: reason });
    // Errors leave from the listening port: they need no answer, so they need no socket.
    if (!stopped) socket.send(error, from.port, from.address);
    show('out', from, error);
    reportRefused(name, from, reason);
  }

  function reportRefused(name: string, from: RemotePort, reason: string): void {
    const second = Math.floor(performance.now() / 1000);
    refusals = { second, count: refusals.second === second ? refusals.count + 1 : 1 };
    if (refusals.count > limits.refusalsPerSecond) return;
    onEvent({ kind: 'refused', name: printableText(name), remote: clientAddress(from), reason });
  }

  async function stop(graceMs: number): Promise<void> {
    const senders = [...slots.all()].flatMap((slot) => slot.sender ?? []);
    const isShared = senders.some(({ port }) => port === listensAt);
    if (!isShared) socket.close();
    const ended = Promise.all(senders.map((sender) => sender.ended));
    const grace = new AbortController();
    const expired = delay(graceMs, undefined, { signal: grace.signal }).catch(() => {});
    await Promise.race([ended, expired]);
    grace.abort();
    for (const sender of senders) {
      sender.tell(stopping);
    }
    await ended;
    if (isShared) socket.close();
  }

  socket.on('message', receive);
  // A listening socket has no peer: what fails is one answer, and its client asks again.
  socket.on('error', () => {});
  return {
    port: listensAt,
    stop: (graceMs = 2000) => {
      stopped ??= stop(graceMs);
      return stopped;
    },
  };
}

async function listen(address: Ipv4, port: number): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1024 * 1024 });
  try {
    socket.bind({ address, port });
    await once(socket, 'listening');
    return socket;
  } catch (error) {
    socket.close();
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new AppError(
      'tftp-cannot-listen',
      `TFTP cannot listen on ${address} port ${port}: ${code}`,
      listenHint(code, port),
      { cause: error },
    );
  }
}

function listenHint(code: string, port: number): string {
  if (code === 'EADDRINUSE') return `another TFTP server runs here: ss -lunp 'sport = :${port}'`;
  if (code === 'EADDRNOTAVAIL') return 'no interface of this machine has that address: ip address';
  if (code === 'EACCES') return lowPortHint;
  return '';
}

/** RFC 1350 §5: opcodes 1 and 2. */
function isRequest(bytes: Buffer): boolean {
  return bytes[0] === 0 && (bytes[1] === 1 || bytes[1] === 2);
}

/** A udp4 socket hears from IPv4 addresses only. */
function clientAddress(from: RemotePort): Ipv4 {
  return parseIpv4(from.address) as Ipv4;
}
