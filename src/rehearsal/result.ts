/** What a proof is about. */
export type ProofGroup = 'node' | 'role' | 'volume' | 'service' | 'mail' | 'loss';

/** What became of one proof. */
export interface ProofResult {
  readonly group: ProofGroup;
  readonly title: string;
  readonly outcome: 'passed' | 'failed' | 'not tried';
  readonly seconds: number;
  /** Figures, or the reason. */
  readonly detail: string;
}

/** A stretch of a lane, milliseconds since the epoch. */
export interface Span {
  readonly from: number;
  readonly to: number;
  /** A stage of a node, or what a client saw. */
  readonly state: string;
}

/** What one node or one address was, over time. */
export interface Lane {
  readonly name: string;
  readonly spans: readonly Span[];
}

/** Something that the rehearsal did. */
export interface Mark {
  readonly at: number;
  readonly text: string;
}

export interface Rehearsal {
  readonly site: string;
  /** `Rehearsal of tokyo`. */
  readonly title: string;
  readonly start: number;
  readonly end: number;
  readonly results: readonly ProofResult[];
  readonly lanes: readonly Lane[];
  readonly marks: readonly Mark[];
  /** What the copy of the site says otherwise than the operator's, and how guests ran. */
  readonly notes: readonly string[];
}
