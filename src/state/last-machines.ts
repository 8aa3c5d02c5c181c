/** What is remembered of the machines that asked last. */
export interface LastMachines<T> {
  /** What is remembered of it, undefined where nothing is; being asked for counts as having asked. */
  get(key: string): T | undefined;
  set(key: string, value: T): void;
}

/**
 * Remembers the last `limit` machines, and up to as many again: a flood of made-up MAC addresses cannot fill the memory.
 * Two generations, of which the older goes at once: a map in which each answer moves its machine to the end is
 * rebuilt again and again.
 */
export function createLastMachines<T>(limit: number): LastMachines<T> {
  let young = new Map<string, T>();
  let old = new Map<string, T>();

  function set(key: string, value: T): void {
    if (young.size >= limit && !young.has(key)) {
      old = young;
      young = new Map();
    }
    young.set(key, value);
  }

  return {
    get(key) {
      const found = young.get(key);
      if (found !== undefined) return found;
      const kept = old.get(key);
      if (kept !== undefined) set(key, kept);
      return kept;
    },
    set,
  };
}
