import { dataPackets } from './tftp-blocks.ts';
import type { TransferTerms } from './tftp-options.ts';
import { encodeTftpPacket, parseTftpPacket } from './tftp-packet.ts';
import type { PortListener, TransferPort } from './tftp-port.ts';
import {
  planTransfer,
  stepTransfer,
  type TransferInput,
  type TransferPacket,
  type TransferState,
} from './tftp-transfer.ts';

export interface SenderOptions {
  /** Opens the way to the client; what comes from there goes to the listener. */
  readonly openPort: (listener: PortListener) => TransferPort | Promise<TransferPort>;
  readonly content: Uint8Array;
  readonly terms: TransferTerms;
  /** Milliseconds of a steady clock. */
  readonly clock: () => number;
  /** Shown what is neither data nor an acknowledgement. */
  readonly onControl?: (direction: 'in' | 'out', bytes: Uint8Array, port: number) => void;
}

/** One transfer under way. */
export interface Sender {
  /** From which it answers. */
  readonly port: number;
  readonly state: () => TransferState;
  readonly tell: (input: TransferInput) => void;
  /** A datagram of the client. */
  readonly receive: (bytes: Uint8Array) => void;
  /** The last state, when the port is closed. */
  readonly ended: Promise<TransferState>;
}

/** Sends one file; fails where no port is to be had. */
export async function startSender(options: SenderOptions): Promise<Sender> {
  const { content, clock, terms } = options;
  const ended = Promise.withResolvers<TransferState>();
  const dataPacket = dataPackets(content, terms.blockSize);
  let state = planTransfer(terms, content.length);
  let timer: NodeJS.Timeout | undefined;
  let timerDueAt = Number.POSITIVE_INFINITY;
  let dueAt = Number.POSITIVE_INFINITY;

  function tell(input: TransferInput): void {
    if (state.phase !== 'sending') return;
    const now = clock();
    const step = stepTransfer(state, input, now);
    state = step.state;
    sendAll(step.send);
    if (step.timer === undefined) end();
    else wakeAt(now, step.timer);
  }

  function sendAll(packets: readonly TransferPacket[]): void {
    const last = packets.length - 1;
    packets.forEach((packet, index) => {
      const bytes = wireBytes(packet);
      if (index < last) port.send(bytes);
      else port.sendLast(bytes);
    });
  }

  function wireBytes(packet: TransferPacket): Uint8Array {
    if (packet.kind === 'data') return dataPacket(packet.offset / terms.blockSize + 1);
    const bytes = encodeTftpPacket(packet);
    options.onControl?.('out', bytes, port.number);
    return bytes;
  }

  // A timer that is due too early is left as it is: it costs one look at the clock, a new one for each ACK more.
  function wakeAt(now: number, milliseconds: number): void {
    dueAt = now + milliseconds;
    if (timerDueAt <= dueAt) return;
    clearTimeout(timer);
    timerDueAt = dueAt;
    timer = setTimeout(wake, milliseconds);
  }

  // Timers run before sockets are read: an ACK that came while the server was busy elsewhere is read first.
  function wake(): void {
    if (isDue()) setImmediate(timeOut);
    else sleepOn();
  }

  function timeOut(): void {
    if (isDue()) {
      timerDueAt = Number.POSITIVE_INFINITY;
      tell({ kind: 'timeout' });
    } else {
      sleepOn();
    }
  }

  // Timers may fire a moment early.
  const isDue = () => dueAt - clock() <= 1;

  function sleepOn(): void {
    if (state.phase !== 'sending') return;
    clearTimeout(timer);
    timerDueAt = dueAt;
    timer = setTimeout(wake, dueAt - clock());
  }

  function end(): void {
    clearTimeout(timer);
    port.close();
    ended.resolve(state);
  }

  function receive(bytes: Uint8Array): void {
    const parsed = parseTftpPacket(bytes);
    if (!parsed.ok) return;
    const { packet } = parsed;
    if (packet.kind === 'error') options.onControl?.('in', bytes, port.number);
    if (packet.kind === 'ack' || packet.kind === 'error') tell(packet);
  }

  const refused = () => tell({ kind: 'gone', reason: "the client's port is closed" });
  const port = await options.openPort({ receive, refused });
  tell({ kind: 'start' });
  return { port: port.number, state: () => state, tell, receive, ended: ended.promise };
}
