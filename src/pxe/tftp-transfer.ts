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
  readonly roundTrip: { readonly smoothed: number; readonly variation: number } | undefined;
  /** Doublings of the retransmission time-out. */
  readonly backOff: number;
  /** Packets sent more than once. */
  readonly retransmissions: number;
  /** Of a delivered file: whether the last block was acknowledged. Many ROMs start the loader without that. */
  readonly acknowledged: boolean;
  /** Why it failed or was cancelled. */
  readonly reason: string;
}

export interface TransferStep {
  readonly state: TransferState;
  readonly send: readonly TransferPacket[];
  /** Milliseconds until `timeout` is due; undefined when the transfer is over. */
  readonly timer: number | undefined;
}

const firstRoundTrip = 1000;
const shortestTimeout = 100;
const longestTimeout = 5000;
/** Enough for a link that bounces for some 25 seconds. */
const mostTries = 10;
/** A client that never answered may be a forged address: it gets few packets. */
const mostFirstTries = 5;
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
      return state.heardAt === undefined ? fly(state, now) : wait(state, now);
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

/** The state after a flight that left only now, because its content had to be read first. */
export function flightDelayed(state: TransferState, now: number): TransferState {
  return { ...state, flightAt: now, deadline: now + state.deadline - state.flightAt };
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

function acknowledge(state: TransferState, wireBlock: number, now: number): TransferStep {
  const block = state.acked + ((wireBlock - state.acked) & 0xffff);
  // Not outstanding: a duplicate, a late one, or nonsense.
  if (block === state.acked || block > state.sent) return wait(state, now);

  const whole = block === state.sent;
  const measured = whole && state.fresh ? measure(state, Math.max(0, now - state.flightAt)) : state;
  const next: TransferState = { ...measured, acked: block, tries: 0, heardAt: now };
  if (block === state.lastBlock) {
    return {
      state: { ...next, phase: 'delivered', acknowledged: true },
      send: [],
      timer: undefined,
    };
  }
  // An ACK inside the window names the last block before a gap: RFC 7440 §4 goes on from there.
  return fly(next, now);
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
  const send: TransferPacket[] = [];
  for (let block = first; block <= last; block++) send.push(packetOf(state, block));
  return { state: next, send, timer: deadline - now };
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
  if (state.tries >= triesAllowed(state)) return giveUp(state);
  return fly({ ...state, tries: state.tries + 1, backOff: Math.min(state.backOff + 1, 10) }, now);
}

function triesAllowed(state: TransferState): number {
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
  if (state.terms.timeout !== undefined) return state.terms.timeout;
  const base = state.roundTrip
    ? Math.max(shortestTimeout, state.roundTrip.smoothed + 4 * state.roundTrip.variation)
    : firstRoundTrip;
  return Math.min(longestTimeout, base * 2 ** state.backOff);
}

function measure(state: TransferState, sample: number): TransferState {
  const { roundTrip } = state;
  const next = roundTrip
    ? {
        variation: 0.75 * roundTrip.variation + 0.25 * Math.abs(roundTrip.smoothed - sample),
        smoothed: 0.875 * roundTrip.smoothed + 0.125 * sample,
      }
    : { smoothed: sample, variation: sample / 2 };
  return { ...state, roundTrip: next, backOff: 0 };
}
