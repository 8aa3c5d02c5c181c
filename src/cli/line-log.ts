/** Lines of a log that are written together, each turn of the event loop. */
export interface LineLog {
  add(line: string): void;
  /** Writes what was added so far; before the process ends. */
  flush(): void;
}

/** In a boot storm a write for every line would be a tenth of all that an answer to DHCP costs. */
export function createLineLog(write: (text: string) => void): LineLog {
  let lines = '';
  let timer: NodeJS.Immediate | undefined;

  function flush(): void {
    if (timer) clearImmediate(timer);
    timer = undefined;
    const text = lines;
    lines = '';
    if (text !== '') write(text);
  }

  return {
    add(line) {
      lines += `${line}\n`;
      timer ??= setImmediate(flush);
    },
    flush,
  };
}
