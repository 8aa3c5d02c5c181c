/** Things that fall due at a time, the earliest first. */
export interface TimeQueue<T> {
  readonly size: number;
  add(at: number, what: T): void;
  /** The earliest; the one added first where two are due together. */
  first(): { readonly at: number; readonly what: T } | undefined;
  removeFirst(): void;
  clear(): void;
}

interface Entry<T> {
  readonly at: number;
  readonly order: number;
  readonly what: T;
}

/** An empty queue: a binary heap, so that adding and removing take steps as the logarithm of its size. */
export function createTimeQueue<T>(): TimeQueue<T> {
  const heap: Entry<T>[] = [];
  let added = 0;

  /** Whether the entry at `i` is due before the one at `j`; false where there is none at `i`. */
  function isBefore(i: number, j: number): boolean {
    const a = heap[i];
    const b = heap[j];
    return a !== undefined && b !== undefined && (a.at - b.at || a.order - b.order) < 0;
  }

  function swap(i: number, j: number): void {
    const a = heap[i];
    const b = heap[j];
    if (!a || !b) return;
    heap[i] = b;
    heap[j] = a;
  }

  return {
    get size() {
      return heap.length;
    },
    add(at, what) {
      let i = heap.push({ at, order: added++, what }) - 1;
      for (let parent = (i - 1) >> 1; i > 0 && isBefore(i, parent); parent = (i - 1) >> 1) {
        swap(i, parent);
        i = parent;
      }
    },
    first: () => heap[0],
    removeFirst() {
      const last = heap.pop();
      if (last === undefined || heap.length === 0) return;
      heap[0] = last;
      for (let i = 0; ; ) {
        const left = 2 * i + 1;
        const child = isBefore(left + 1, left) ? left + 1 : left;
        if (!isBefore(child, i)) return;
        swap(i, child);
        i = child;
      }
    },
    clear: () => void heap.splice(0),
  };
}
