/** A question that waits for its answer. */
export interface OpenQuestion {
  /** When it was asked, milliseconds since the epoch. */
  readonly at: number;
  /** Whether somebody has taken its connection. */
  isTaken: boolean;
}

/** What clients of a rehearsal ask with. Milliseconds. */
export interface Pace {
  /** Between two questions to one target, at the least. */
  readonly period: number;
  /** After which a question is in vain that somebody has taken. */
  readonly patience: number;
  /** After which one is in vain that nobody has taken. */
  readonly patienceToConnect: number;
}

/**
 * Whether a target may be asked once more. A server that works on a question is not asked another one for half
 * of a client's patience, nor at once after a slow answer: who asks as fast as a slow machine answers takes all of
 * its processor, and makes a service fail that works. Where nobody takes a connection, asking costs nobody
 * anything.
 */
export function mayAsk(
  open: Iterable<OpenQuestion>,
  rested: number,
  pace: Pace,
  now: number,
): boolean {
  if (now < rested) return false;
  for (const { at, isTaken } of open) if (isTaken && now - at < pace.patience / 2) return false;
  return true;
}

/**
 * Milliseconds for which a server is left alone after an answer that took so long: asking takes a fifth of its
 * time, more only where an answer takes more than half a second.
 */
export function restAfter(took: number): number {
  return Math.min(2_000, 4 * took);
}

/** How clients ask: emulated machines, several to a processor, take seconds for what takes milliseconds else. */
export function paceOf(accelerator: 'kvm' | 'tcg'): Pace {
  const patience = accelerator === 'kvm' ? 2_000 : 6_000;
  return { period: 100, patience, patienceToConnect: 2_000 };
}
