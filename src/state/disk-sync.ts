import { closeSync, fdatasync, fsync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

const syncData = promisify(fdatasync);
const syncAll = promisify(fsync);

/** Puts on disk what was written to one file, while the process goes on. */
export interface DiskSync {
  /** Resolves when all that was written before this call is on disk; fails where the disk fails. */
  sync(): Promise<void>;
  /** Lets go of the file, after the syncs that were asked for. */
  close(): void;
}

/**
 * Syncs the file at `path`, which need not be there before the first sync. One sync runs at a time; who asks
 * meanwhile shares the next.
 */
export function createDiskSync(path: string): DiskSync {
  let fd: number | undefined;
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  async function start(): Promise<void> {
    const isNew = fd === undefined;
    const open = fd ?? openSync(path, 'r');
    fd = open;
    // Its name has to be on disk too.
    if (isNew) await syncFolder(dirname(path));
    await syncData(open);
  }

  function run(): Promise<void> {
    const current = start().finally(() => {
      if (running === current) running = undefined;
    });
    running = current;
    return current;
  }

  return {
    sync() {
      if (!running) return run();
      next ??= running
        .catch(() => {})
        .then(() => {
          next = undefined;
          return run();
        });
      return next;
    },
    close() {
      const letGo = () => {
        if (fd !== undefined) closeSync(fd);
        fd = undefined;
      };
      const last = next ?? running;
      if (last) last.catch(() => {}).then(letGo);
      else letGo();
    },
  };
}

async function syncFolder(path: string): Promise<void> {
  const fd = openSync(path, 'r');
  try {
    await syncAll(fd);
  } finally {
    closeSync(fd);
  }
}
