import { agreeTerms } from '../../src/pxe/tftp-options.ts';
import {
  planTransfer,
  stepTransfer,
  type TransferInput,
  type TransferPacket,
  type TransferState,
} from '../../src/pxe/tftp-transfer.ts';
import { seededRandom } from '../seeded-random.ts';

/** A link in both directions; each of the rates is a chance between 0 and 1 per datagram. */
export interface SimulatedLink {
  readonly loss: number;
  readonly duplicates: number;
  /** Held back by up to 30 ms, so that later datagrams overtake it. */
  readonly reordering: number;
  /** Held back by up to 4 s. */
  readonly lateness: number;
}

export interface SimulatedTransfer {
  readonly size: number;
  readonly blockSize: number;
  readonly windowSize: number;
  /**
   * Whether the client answers every block it did not expect with its last ACK, as simple ones do,
   * or only the first of a gap, as RFC 7440 says.
   */
  readonly eager: boolean;
  readonly link: SimulatedLink;
  readonly seed: number;
}

export interface SimulationResult {
  readonly server: TransferState;
  /** Block numbers without roll-over, in the order the client took them; undefined: it gave up. */
  readonly received: readonly { readonly offset: number; readonly length: number }[] | undefined;
  /** DATA and OACK packets the server sent. */
  readonly sent: number;
  /** Time-outs of the server that sent something again. */
  readonly timeouts: number;
  /** ACKs that moved the server on. */
  readonly progress: number;
  /** The server's longest burst for one input. */
  readonly longestBurst: number;
  readonly milliseconds: number;
}

const clientPatience = 20;

/** Plays a whole transfer in simulated time: the real state machine against a client of RFC 7440. */
export function simulateTransfer(transfer: SimulatedTransfer): SimulationResult {
  const { size, windowSize, blockSize, link } = transfer;
  const random = seededRandom(transfer.seed);
  const asked = new Map([
    ['blksize', `${blockSize}`],
    ['windowsize', `${windowSize}`],
  ]);
  const limits = { blockSize: 1468, windowSize: 64, windowBytes: 131_072 };
  let server = planTransfer(agreeTerms(asked, size, limits), size);
  let [now, sent, timeouts, progress, longestBurst] = [0, 0, 0, 0, 0];
  const queue = new EventQueue();
  let timerRound = 0;

  function travel(arrive: () => void): void {
    const copies = random() < link.duplicates ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (random() < link.loss) continue;
      let delay = 0.3;
      if (random() < link.reordering) delay += random() * 30;
      if (random() < link.lateness) delay += random() * 4000;
      queue.add(now + delay, arrive);
    }
  }

  function tellServer(input: TransferInput): void {
    const before = server;
    const step = stepTransfer(server, input, now);
    server = step.state;
    if (server.acked > before.acked) progress++;
    if (input.kind === 'timeout' && step.send.length > 0) timeouts++;
    longestBurst = Math.max(longestBurst, step.send.length);
    for (const packet of step.send) {
      if (packet.kind !== 'error') sent++;
      travel(() => client.receive(packet));
    }
    timerRound++;
    const round = timerRound;
    if (step.timer === undefined) return;
    queue.add(now + step.timer, () => {
      if (round === timerRound) tellServer({ kind: 'timeout' });
    });
  }

  const client = simulatedClient(transfer, {
    send: (input) => travel(() => tellServer(input)),
    after: (milliseconds, then) => queue.add(now + milliseconds, then),
  });
  client.request();
  const mostEvents = 20_000 + 50 * Math.ceil(size / blockSize);
  let events = 0;
  for (let next = queue.take(); next; next = queue.take()) {
    now = next.at;
    next.run();
    if (++events > mostEvents) throw new Error('the transfer does not come to an end');
  }
  const received = client.received();
  return { server, received, sent, timeouts, progress, longestBurst, milliseconds: now };
}

interface ClientWorld {
  send(input: TransferInput): void;
  after(milliseconds: number, then: () => void): void;
}

/** RFC 7440's receiver; it repeats its last packet after a second without news. */
function simulatedClient(transfer: SimulatedTransfer, world: ClientWorld) {
  const { blockSize, windowSize, eager } = transfer;
  const taken: { offset: number; length: number }[] = [];
  let phase: 'asking' | 'receiving' | 'done' | 'gone' = 'asking';
  /** The last block in order, modulo 65536; taken.length counts without roll-over. */
  let sinceAck = 0;
  let gapReported = false;
  let tries = 0;
  let round = 0;

  function repeatLater(): void {
    const mine = ++round;
    world.after(1000, () => {
      if (mine !== round || phase === 'done' || phase === 'gone') return;
      if (++tries > clientPatience) {
        phase = 'gone';
        return;
      }
      world.send(phase === 'asking' ? { kind: 'start' } : lastAck());
      sinceAck = 0;
      repeatLater();
    });
  }

  const lastAck = (): TransferInput => ({ kind: 'ack', block: taken.length % 65_536 });

  function acknowledge(): void {
    sinceAck = 0;
    world.send(lastAck());
  }

  function news(): void {
    tries = 0;
    repeatLater();
  }

  function receive(packet: TransferPacket): void {
    if (phase === 'gone') return;
    if (packet.kind === 'error') {
      if (phase !== 'done') phase = 'gone';
      return;
    }
    if (packet.kind === 'oack') {
      if (taken.length > 0) return;
      phase = 'receiving';
      acknowledge();
      news();
      return;
    }
    // Without the OACK the client would not know the size of a block.
    if (phase === 'asking') return;
    if (phase === 'done') {
      // RFC 1350 §6: it stays a while to repeat the last ACK.
      if (packet.block === taken.length % 65_536) acknowledge();
      return;
    }
    if (packet.block !== (taken.length + 1) % 65_536) {
      if (eager || !gapReported) acknowledge();
      gapReported = true;
      return;
    }
    taken.push({ offset: packet.offset, length: packet.length });
    gapReported = false;
    sinceAck++;
    news();
    if (packet.length < blockSize) {
      phase = 'done';
      acknowledge();
    } else if (sinceAck >= windowSize) acknowledge();
  }

  return {
    request: () => {
      world.send({ kind: 'start' });
      repeatLater();
    },
    receive,
    received: () => (phase === 'done' ? taken : undefined),
  };
}

/** What happens next, by time; of two at one time the one that was added first. */
class EventQueue {
  readonly #heap: { at: number; order: number; run: () => void }[] = [];
  #added = 0;

  add(at: number, run: () => void): void {
    const heap = this.#heap;
    heap.push({ at, order: this.#added++, run });
    for (let child = heap.length - 1; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (!this.#swapIfEarlier(child, parent)) break;
      child = parent;
    }
  }

  take(): { at: number; run: () => void } | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    heap[0] = last;
    for (let parent = 0; ; ) {
      const [left, right] = [2 * parent + 1, 2 * parent + 2];
      const child = right < heap.length && this.#earlier(right, left) ? right : left;
      if (child >= heap.length || !this.#swapIfEarlier(child, parent)) return first;
      parent = child;
    }
  }

  #earlier(a: number, b: number): boolean {
    const [x, y] = [this.#heap[a], this.#heap[b]];
    return x !== undefined && y !== undefined && (x.at - y.at || x.order - y.order) < 0;
  }

  #swapIfEarlier(a: number, b: number): boolean {
    const [x, y] = [this.#heap[a], this.#heap[b]];
    if (!x || !y || !this.#earlier(a, b)) return false;
    this.#heap[a] = y;
    this.#heap[b] = x;
    return true;
  }
}
