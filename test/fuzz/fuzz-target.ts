/** Something that reads what strangers send. */
export interface FuzzTarget {
  readonly name: string;
  /** Valid inputs, which are mutated. */
  readonly seeds: readonly Uint8Array[];
  /** Bytes that mean something at this place, put in at random ones. */
  readonly words: readonly Uint8Array[];
  /** How far the input came, in one word; throws where a property is broken. */
  run(input: Uint8Array): string;
}

/** Refuses with a message where a property does not hold. */
export function must(holds: boolean, message: string): void {
  if (!holds) throw new Error(message.slice(0, 500));
}
