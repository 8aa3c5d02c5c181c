/** One question to a target. */
export interface Sample {
  /** Its place in the list of targets. */
  readonly target: number;
  /** When it was asked, milliseconds since the epoch. */
  readonly at: number;
  /** Milliseconds until the answer, or until the client gave up. */
  readonly took: number;
  /** Empty where it was answered. */
  readonly problem: string;
}

/** What a client noticed between two moments. */
export interface Outage {
  /** Milliseconds of the longest time without an answer. */
  readonly longest: number;
  readonly asked: number;
  readonly inVain: number;
  /** The last problem; empty where there was none. */
  readonly problem: string;
}

/**
 * What the client of a target noticed from `from` to `to`. Time without an answer runs from answer to
 * answer, so that a question that was answered late counts as one that was not answered.
 */
export function measureOutage(samples: readonly Sample[], from: number, to: number): Outage {
  const within = samples.filter((s) => s.at >= from && s.at <= to);
  const answers = within
    .filter((s) => s.problem === '')
    .map((s) => s.at + s.took)
    .sort((a, b) => a - b);
  const ends = [from, ...answers.filter((at) => at <= to), to];
  const gaps = ends.map((at, i) => at - (ends[i - 1] ?? at));
  const failed = within.filter((s) => s.problem !== '');
  return {
    longest: Math.max(...gaps),
    asked: within.length,
    inVain: failed.length,
    problem: failed.at(-1)?.problem ?? '',
  };
}

/** Whether every question since `from` was answered, and there were some. */
export function isSteady(samples: readonly Sample[], from: number): boolean {
  const since = samples.filter((s) => s.at + s.took >= from);
  return since.length > 0 && since.every((s) => s.problem === '');
}
