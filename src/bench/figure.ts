/** One thing measured side by side with a peer, in the same run on the same machine. */
export interface Figure {
  readonly what: string;
  readonly ours: number;
  readonly peer: number;
  /** The peer and what it was told to do; empty where no peer does this at all. */
  readonly peerName: string;
  readonly unit: string;
  /** How many times better ours is: above 1 we lead, whichever way the unit counts; 0 where there is no peer. */
  readonly ratio: number;
  /** What keeps the figure from being better, and how far it is from that. */
  readonly bound: string;
}

/** Which way a unit counts: bytes a second want to be many, seconds and bytes of memory few. */
export type Better = 'more' | 'less';

/** A figure with its ratio worked out. */
export function compare(measured: Omit<Figure, 'ratio'>, better: Better): Figure {
  const { ours, peer } = measured;
  const [above, below] = better === 'more' ? [ours, peer] : [peer, ours];
  return { ...measured, ratio: peer > 0 && below > 0 ? round(above / below) : 0 };
}

/** A figure that no peer has, such as a stage that only this program serves. */
export function alone(measured: Pick<Figure, 'what' | 'ours' | 'unit' | 'bound'>): Figure {
  return { ...measured, peer: 0, peerName: '', ratio: 0 };
}

/** Three digits are more than two runs of a benchmark agree on. */
export function round(value: number): number {
  return Number(value.toPrecision(3));
}
