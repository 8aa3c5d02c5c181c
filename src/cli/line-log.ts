/** Lines of a log that are written together. */
export interface LineLog {
  add(line: string): void;
  /** Writes what was added so far; before the process ends. */
  flush(): void;
}

/** Milliseconds between two writes. */
const gather = 20;

/** Characters that wait at most: a pipe takes 64 KiB at once (pipe(7)), and a reader that is late holds up the writer. */
const mostWaiting = 16 * 1024;

/**
 * A line is written in this turn of the event loop, the next ones 20 ms after it. In a boot storm a write for every
 * line would be a tenth of all that an answer to DHCP costs, and would wake its reader as often.
 */
export function createLineLog(write: (text: string) => void): LineLog {
  let lines = '';
  let wrote = Number.NEGATIVE_INFINITY;
  let soon: NodeJS.Immediate | undefined;
  let later: NodeJS.Timeout | undefined;

  function flush(): void {
    if (soon) clearImmediate(soon);
    clearTimeout(later);
    soon = undefined;
    later = undefined;
    const text = lines;
    lines = '';
    if (text === '') return;
    wrote = performance.now();
    write(text);
  }

  return {
    add(line) {
      lines += `${line}\n`;
      if (lines.length >= mostWaiting) return flush();
      if (soon ?? later) return;
      const rest = wrote + gather - performance.now();
      if (rest > 0) later = setTimeout(flush, rest);
      else soon = setImmediate(flush);
    },
    flush,
  };
}
