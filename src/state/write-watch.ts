import { AppError } from '../errors.ts';

/** Why the state folder takes nothing. */
export interface WriteTrouble {
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly message: string;
  readonly hint: string;
}

/** Whether what the server must remember reaches the disk. */
export interface WriteWatch {
  /** Undefined while it does. */
  trouble(): WriteTrouble | undefined;
  /** Calls when trouble begins, changes or is over; gives back what ends that. */
  subscribe(listener: () => void): () => void;
}

/** A watch that is told of what a disk refused, and looks whether it still does. */
export interface KeptWriteWatch extends WriteWatch {
  refused(error: unknown): void;
  /** Tries to write where there is trouble, and else every `looksBetween` calls. */
  look(): void;
}

/** Codes of errors that say that a disk takes nothing: of this program's own, and of the system (errno(3)). */
const refusals = new Set(['disk-full', 'disk-refuses', 'ENOSPC', 'EDQUOT', 'EROFS', 'EIO']);

/** Whether an error says that a disk is full, read-only or broken. */
export function isWriteRefused(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && refusals.has(String(error.code));
}

/** `tryWrite` puts on disk what waits for it, and something in any case; it throws where it cannot. */
export function createWriteWatch(
  tryWrite: () => void,
  now: () => number,
  looksBetween = 6,
): KeptWriteWatch {
  const listeners = new Set<() => void>();
  let trouble: WriteTrouble | undefined;
  let looks = 0;

  function become(next: WriteTrouble | undefined): void {
    if (next?.message === trouble?.message) return;
    trouble = next && { ...next, since: trouble?.since ?? next.since };
    for (const listener of listeners) listener();
  }

  function refused(error: unknown): void {
    if (!isWriteRefused(error)) return;
    const hint = error instanceof AppError ? (error.hint ?? '') : '';
    become({ since: now(), message: error.message, hint });
  }

  return {
    trouble: () => trouble,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    refused,
    look() {
      looks += 1;
      if (!trouble && looks % looksBetween !== 0) return;
      try {
        tryWrite();
      } catch (error) {
        refused(error);
        // What is no refusal of the disk is told of where it happens.
        return;
      }
      become(undefined);
    },
  };
}
