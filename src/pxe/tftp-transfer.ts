import type { TransferTerms } from './tftp-options.ts';
import { type TftpOptions, tftpError } from './tftp-packet.ts';

/** What one transfer is told. */
export type TransferInput =
  /** The request, first or repeated because its answer was lost. */
  | { readonly kind: 'start' }
  | { readonly kind: 'ack'; readonly block: number }
  /** The client's ERROR. */
  | { readonly kind: 'error'; readonly code: number; readonly message: string }
  /** The timer of the last step ran out. */
  | { readonly kind: 'timeout' }
  /** No more will come from the client: its port is closed, or it asked for something else. */
  | { readonly kind: 'gone'; readonly reason: string }
  /** The server cannot go on; the client is told why. */
  | { readonly kind: 'stop'; readonly reason: string };

/** What goes on the wire; the content of a `data` is read by who sends it. */
export type TransferPacket =
  | { readonly kind: 'oack'; readonly options: TftpOptions }
  | {
      readonly kind: 'data';
      /** As on the wire, modulo 65536. */
      readonly block: number;
      /** Bytes from the file's start. */
      readonly offset: number;
      readonly length: number;
    }
  | { readonly kind: 'error'; readonly code: number; readonly message: string };

/** Blocks count from 1 without roll-over; block 0 is the OACK. Times are milliseconds of one steady clock. */
export interface TransferState {
  readonly phase: 'sending' | 'delivered' | 'cancelled' | 'failed';
  readonly terms: TransferTerms;
  /** Bytes of the file. */
  readonly size: number;
  /** The last block; it is shorter than the others, empty where the size is a multiple. */
  readonly lastBlock: number;
  /** Highest acknowledged block; -1 while the OACK is not. */
  readonly acked: number;
  /** Highest block of the flight under way. */
  readonly sent: number;
  /** When the flight left, and whether all of it left for the first time (Karn: only then its time counts). */
  readonly flightAt: number;
  readonly fresh: boolean;
  /** Time-outs since the last progress. */
  readonly tries: number;
  /** When the client last made progress; undefined before its first ACK. */
  readonly heardAt: number | undefined;
  readonly deadline: number;
  /** RFC 6298; undefined before the first measurement. */
  readonly roundTrip: RoundTrip | undefined;
  /** Doublings of the retransmission time-out. */
  readonly backOff: number;
  /** Whether an ACK inside the window was the last news: a gap, or a duplicate on its way. */
  readonly gap: boolean;
  /** Packets sent more than once. */
  readonly retransmissions: number;
  /** Of a delivered file: whether the last block was acknowledged. Many ROMs start the loader without that. */
  readonly acknowledged: boolean;
  /** Why it failed or was cancelled. */
  readonly reason: string;
}

interface RoundTrip {
  readonly smoothed: number;
  readonly variation: number;
}

export interface TransferStep {
  readonly state: TransferState;
  readonly send: readonly TransferPacket[];
  /** Milliseconds until `timeout` is due; undefined when the transfer is over. */
  readonly timer: number | undefined;
}

const firstRoundTrip = 1000;
/**
 * atftp ends its transfer at a second OACK (RFC 2347 has no word on it). Whoever missed the first one asks again,
 * and whoever's answer was lost repeats that, nearly all within 5 s: the server repeats the OACK only after them.
 */
const optionsTimeout = 6000;
/** Some hundred round trips of a boot segment; clients that are slower are measured to be. */
const shortestTimeout = 50;
/** How long after the first a copy of a request may arrive that the network made. */
const copiesWithin = 100;
const longestTimeout = 5000;
/** How long datagrams after a gap may still be on their way. */
const shortestPatience = 10;
const longestPatience = 100;
const mostKeptBackOff = 2;
/** Enough for a link that bounces for some 25 seconds. */
const mostTries = 10;
/** A client that never answered may be a forged address: it gets few packets. */
const mostFirstTries = 5;
const mostOptionTries = 3;
/** The last block is all that is missing, and its ACK may never come. */
const mostLastTries = 5;

/** A transfer that has not begun: give it `start`. */
export function planTransfer(terms: TransferTerms, size: number): TransferState {
  return {
    phase: 'sending',
    terms,
    size,
    lastBlock: Math.floor(size / terms.blockSize) + 1,
    acked: terms.acknowledge.size > 0 ? -1 : 0,
    sent: -1,
    flightAt: 0,
    fresh: true,
    tries: 0,
    heardAt: undefined,
    deadline: 0,
    roundTrip: undefined,
    backOff: 0,
    gap: false,
    retransmissions: 0,
    acknowledged: false,
    reason: '',
  };
}

/**
 * What a transfer does next: its new state, the packets to send now, and when to come back.
 * RFC 1350 with RFC 7440's windows. A duplicate ACK sends nothing (RFC 1123 §4.2.3.1).
 */
export function stepTransfer(
  state: TransferState,
  input: TransferInput,
  now: number,
): TransferStep {
  if (state.phase !== 'sending') return { state, send: [], timer: undefined };
  switch (input.kind) {
    case 'start':
      return requested(state, now);
    case 'ack':
      return acknowledge(state, input.block, now);
    case 'timeout':
      return runOut(state, now);
    case 'error':
      return clientError(state, input.code, input.message);
    case 'gone':
      return clientGone(state, input.reason);
    case 'stop':
      return tellAndFail(state, input.reason);
  }
}

/** What to do with a read request from a port that already has a transfer. */
export function decideRepeatedRequest(
  state: TransferState,
  same: boolean,
  now: number,
): 'answer-again' | 'ignore' | 'start-anew' {
  if (state.heardAt === undefined) return same ? 'answer-again' : 'start-anew';
  // ROMs ask for every file from one port; the ACK of the last file's end may be lost.
  if (!same && state.sent === state.lastBlock) return 'start-anew';
  // A datagram can be late by milliseconds, a machine that was reset by seconds.
  return now - state.heardAt > 1000 ? 'start-anew' : 'ignore';
}

/** A copy made by the network follows within milliseconds, and several clients abort at a second OACK. */
function requested(state: TransferState, now: number): TransferStep {
  if (state.heardAt !== undefined) return wait(state, now);
  const first = state.sent < 0;
  return first || now - state.flightAt >= copiesWithin ? fly(state, now) : wait(state, now);
}

function acknowledge(state: TransferState, wireBlock: number, now: number): TransferStep {
  const block = state.acked + ((wireBlock - state.acked) & 0xffff);
  // Not outstanding: a duplicate, a late one, or nonsense.
  if (block === state.acked || block > state.sent) return wait(state, now);

  const whole = block === state.sent;
  const next: TransferState = {
    ...learn(state, Math.max(0, now - state.flightAt)),
    acked: block,
    tries: 0,
    heardAt: now,
    gap: !whole,
  };
  if (block === state.lastBlock) {
    return {
      state: { ...next, phase: 'delivered', acknowledged: true },
      send: [],
      timer: undefined,
    };
  }
  return whole ? fly(next, now) : slide(next, now);
}

/**
 * An ACK inside the window names the last block in order: what follows is lost, or only overtaken by a duplicate.
 * RFC 7440 §4 sends all that follows again, and one duplicated datagram then doubles every window to the end.
 * So the window moves on first; what follows is sent again when no more news comes within a round trip.
 */
function slide(state: TransferState, now: number): TransferStep {
  const first = state.sent + 1;
  const last = Math.min(state.acked + state.terms.windowSize, state.lastBlock);
  const timer = Math.min(longestPatience, measuredTimeout(state, shortestPatience));
  const next: TransferState = { ...state, sent: last, fresh: false, deadline: now + timer };
  return { state: next, send: packetsOf(state, first, last), timer };
}

/** Sends the window after the last acknowledged block. */
function fly(state: TransferState, now: number): TransferStep {
  const first = state.acked + 1;
  const last = first === 0 ? 0 : Math.min(first + state.terms.windowSize - 1, state.lastBlock);
  const again = Math.max(0, Math.min(state.sent, last) - first + 1);
  const sent = Math.max(state.sent, last);
  const deadline = now + retransmissionTimeout(state);
  const next: TransferState = {
    ...state,
    sent,
    flightAt: now,
    fresh: again === 0,
    deadline,
    retransmissions: state.retransmissions + again,
  };
  return { state: next, send: packetsOf(state, first, last), timer: deadline - now };
}

function packetsOf(state: TransferState, first: number, last: number): TransferPacket[] {
  const length = Math.max(0, last - first + 1);
  return Array.from({ length }, (_, index) => packetOf(state, first + index));
}

function packetOf(state: TransferState, block: number): TransferPacket {
  if (block === 0) return { kind: 'oack', options: state.terms.acknowledge };
  const { blockSize } = state.terms;
  const offset = (block - 1) * blockSize;
  const length = Math.min(blockSize, state.size - offset);
  return { kind: 'data', block: block % 65_536, offset, length };
}

function runOut(state: TransferState, now: number): TransferStep {
  // Timers may fire a moment early.
  if (now < state.deadline - 1) return wait(state, now);
  if (state.gap) return fly({ ...state, gap: false }, now);
  if (state.tries >= triesAllowed(state)) return giveUp(state);
  return fly({ ...state, tries: state.tries + 1, backOff: Math.min(state.backOff + 1, 10) }, now);
}

function triesAllowed(state: TransferState): number {
  if (state.acked < 0) return mostOptionTries;
  if (state.heardAt === undefined) return mostFirstTries;
  return state.acked === state.lastBlock - 1 ? mostLastTries : mostTries;
}

function giveUp(state: TransferState): TransferStep {
  const what = state.acked < 0 ? 'the options' : `block ${state.acked + 1} of ${state.lastBlock}`;
  const reason = `no answer to ${what}, sent ${state.tries + 1} times`;
  return conclude(state, reason, [{ kind: 'error', code: tftpError.notDefined, message: reason }]);
}

function clientGone(state: TransferState, reason: string): TransferStep {
  // A late copy of a request whose transfer is long over, or a client that only wanted tsize.
  if (state.heardAt === undefined) {
    return { state: { ...state, phase: 'cancelled', reason }, send: [], timer: undefined };
  }
  return conclude(state, reason, []);
}

/** The client is silent; where only the last block is unacknowledged it most likely has the file. */
function conclude(
  state: TransferState,
  reason: string,
  send: readonly TransferPacket[],
): TransferStep {
  const delivered = state.heardAt !== undefined && state.acked === state.lastBlock - 1;
  const phase = delivered ? 'delivered' : 'failed';
  return { state: { ...state, phase, reason }, send: delivered ? [] : send, timer: undefined };
}

function tellAndFail(state: TransferState, reason: string): TransferStep {
  return {
    state: { ...state, phase: 'failed', reason },
    send: [{ kind: 'error', code: tftpError.notDefined, message: reason }],
    timer: undefined,
  };
}

/** PXE ROMs ask for tsize and then break off with ERROR 8 or 0: before any block that is no failure. */
function clientError(state: TransferState, code: number, message: string): TransferStep {
  const reason = `the client says error ${code}${message === '' ? '' : `: ${message}`}`;
  const phase = state.acked <= 0 ? 'cancelled' : 'failed';
  return { state: { ...state, phase, reason }, send: [], timer: undefined };
}

/** Nothing to send: the timer goes on. */
function wait(state: TransferState, now: number): TransferStep {
  return { state, send: [], timer: Math.max(0, state.deadline - now) };
}

/** RFC 2349's interval stands as the client asked; else RFC 6298 with bounds for a boot segment. */
function retransmissionTimeout(state: TransferState): number {
  const { timeout } = state.terms;
  if (state.acked < 0) return timeout === undefined ? optionsTimeout : timeout + 1000;
  if (timeout !== undefined) return timeout;
  return Math.min(longestTimeout, measuredTimeout(state, shortestTimeout) * 2 ** state.backOff);
}

function measuredTimeout({ roundTrip }: TransferState, least: number): number {
  if (!roundTrip) return firstRoundTrip;
  return Math.max(least, roundTrip.smoothed + 4 * roundTrip.variation);
}

/** After an ACK that came `sample` milliseconds after its flight: the round trip, and Karn's rule. */
function learn(state: TransferState, sample: number): TransferState {
  const { roundTrip, fresh, backOff } = state;
  if (!roundTrip) {
    // An answer that took longer came a second time, by the client's own timer.
    const likely = Math.min(sample, firstRoundTrip);
    const smoothed = fresh ? likely : Math.max(likely, shortestTimeout);
    return { ...state, roundTrip: { smoothed, variation: smoothed / 2 }, backOff: 0 };
  }
  // Blocks sent twice measure nothing, and the longer time-out stays until a measurement fits it;
  // with a bound, or the few measurements over a very lossy link would never bring it down again.
  if (!fresh) return { ...state, backOff: Math.min(backOff, mostKeptBackOff) };
  return { ...state, roundTrip: averaged(roundTrip, sample), backOff: 0 };
}

/**
 * RFC 6298's averages upwards. Downwards faster: when an ACK is lost, the one that the client repeats a second
 * later looks like a long round trip, and a time-out too short costs one datagram only.
 */
function averaged(roundTrip: RoundTrip, sample: number): RoundTrip {
  const { smoothed, variation } = roundTrip;
  if (sample < smoothed) {
    return { smoothed: (smoothed + sample) / 2, variation: variation / 2 };
  }
  return {
    smoothed: 0.875 * smoothed + 0.125 * sample,
    variation: 0.75 * variation + 0.25 * (sample - smoothed),
  };
}
