import type { FileHandle } from 'node:fs/promises';
import { totalmem } from 'node:os';

/** A stretch of a file in memory. Its bytes are the reader's until it says `release`, and somebody else's after. */
export interface FilePiece {
  /** Where it begins in the file. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  release(): void;
}

/** One transfer's view of a file. */
export interface FileReader {
  /** The piece that holds the byte at `offset`; its bytes end where the file does, perhaps before `offset`. */
  piece(offset: number): Promise<FilePiece>;
  /** Says that the transfer has ended; pieces that it still holds it releases itself. */
  close(): void;
}

type ReadableHandle = Pick<FileHandle, 'read' | 'stat'>;

export interface SharedReads {
  /** `handle` stays the caller's, and open until the reader is closed and its pieces are there. */
  reader(handle: ReadableHandle): Promise<FileReader>;
  /** Bytes of memory taken. */
  held(): number;
}

export interface SharedReadsOptions {
  /** Bytes of memory for all transfers together. */
  readonly memory: number;
  /** Bytes of the biggest and the smallest piece, powers of two. */
  readonly longest: number;
  readonly shortest: number;
  /** Milliseconds after the last transfer until the memory is given back. */
  readonly keepFor: number;
}

const mebibyte = 1024 * 1024;

/** Machines of one rack fetch one root one after the other, and most of them at once. */
const defaults: SharedReadsOptions = {
  // The root that a site boots, in a server that has the memory for it.
  memory: Math.min(512 * mebibyte, Math.max(64 * mebibyte, totalmem() / 16)),
  // Measured: 128 KiB, 256 KiB and 1 MiB are slower.
  longest: 512 * 1024,
  shortest: 32 * 1024,
  keepFor: 5 * 60_000,
};

interface Entry {
  readonly key: string;
  readonly buffer: Buffer;
  readonly filled: Promise<number>;
  users: number;
}

/**
 * Reads files piece by piece; transfers of one file that are near each other share what was read.
 * A transfer holds two pieces at most, which are the smaller the more transfers there are: all take `memory`,
 * and where that is used up, two of the shortest pieces for each further transfer.
 */
export function createSharedReads(options: Partial<SharedReadsOptions> = {}): SharedReads {
  const { memory, longest, shortest, keepFor } = { ...defaults, ...options };
  /** The one that was used the longest ago comes first. */
  const entries = new Map<string, Entry>();
  let held = 0;
  /** Of these, what some transfer uses now. */
  let used = 0;
  let transfers = 0;
  let giveBack: NodeJS.Timeout | undefined;

  function pieceLength(): number {
    // A client that stalls keeps its pieces: the fuller the memory, the less the next one takes.
    const share = Math.min(memory / (2 * Math.max(1, transfers)), (memory - used) / 8);
    return share < shortest ? shortest : Math.min(longest, 2 ** Math.floor(Math.log2(share)));
  }

  function use(entry: Entry, change: 1 | -1): void {
    if (entry.users === 0) used += entry.buffer.length;
    entry.users += change;
    if (entry.users === 0) used -= entry.buffer.length;
  }

  /** A buffer of that length: new while there is room, else of the piece that nobody used for longest. */
  function takeBuffer(length: number): Buffer {
    for (const entry of entries.values()) {
      if (held + length <= memory) break;
      if (entry.users > 0) continue;
      entries.delete(entry.key);
      if (entry.buffer.length === length) return entry.buffer;
      held -= entry.buffer.length;
    }
    held += length;
    return Buffer.allocUnsafeSlow(length);
  }

  /** Whether it was known; another piece of the same key stays. */
  function forget(entry: Entry): boolean {
    return entries.get(entry.key) === entry && entries.delete(entry.key);
  }

  function drop(entry: Entry): void {
    if (forget(entry)) held -= entry.buffer.length;
  }

  function find(handle: ReadableHandle, file: string, length: number, index: number): Entry {
    const key = `${file}:${length}:${index}`;
    const known = entries.get(key);
    if (known) {
      entries.delete(key);
      entries.set(key, known);
      return known;
    }
    const buffer = takeBuffer(length);
    const entry: Entry = { key, buffer, filled: fill(handle, buffer, length * index), users: 0 };
    entries.set(key, entry);
    return entry;
  }

  async function piece(handle: ReadableHandle, file: string, offset: number): Promise<FilePiece> {
    const length = pieceLength();
    const index = Math.floor(offset / length);
    const entry = find(handle, file, length, index);
    use(entry, 1);
    try {
      const bytes = entry.buffer.subarray(0, await entry.filled);
      return {
        offset: length * index,
        bytes,
        release: once(() => use(entry, -1)),
      };
    } catch (error) {
      use(entry, -1);
      // What the disk refused once is asked of it again.
      drop(entry);
      throw error;
    }
  }

  return {
    held: () => held,
    async reader(handle) {
      // A file that was replaced or written to is another one.
      const { dev, ino, ctimeMs, size } = await handle.stat();
      const file = `${dev}:${ino}:${ctimeMs}:${size}`;
      clearTimeout(giveBack);
      transfers += 1;
      return {
        piece: (offset) => piece(handle, file, offset),
        close: once(() => {
          transfers -= 1;
          if (transfers > 0) return;
          giveBack = setTimeout(() => {
            for (const entry of [...entries.values()]) if (entry.users === 0) drop(entry);
          }, keepFor).unref();
        }),
      };
    },
  };
}

/** Fills the buffer from `offset` on; gives back how many bytes the file had for it. */
async function fill(handle: ReadableHandle, buffer: Buffer, offset: number): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(
      buffer,
      filled,
      buffer.length - filled,
      offset + filled,
    );
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

function once(work: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    work();
  };
}
