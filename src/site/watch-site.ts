import { setTimeout as delay } from 'node:timers/promises';
import type { Problem, Result } from '../errors.ts';
import { watchTree } from '../system/watch-tree.ts';
import { fingerprintFolder } from './folder-fingerprint.ts';
import { heldGitLock } from './git-lock.ts';

/** One reading of the whole site folder. */
export interface Generation<T> {
  /** Counts from 1. */
  readonly number: number;
  readonly result: Result<T>;
}

export interface WatchOptions<T> {
  readonly dir: string;
  /** Reads the folder; must not throw for what stands in it. */
  readonly load: () => Promise<Result<T>>;
  /**
   * Called once for every reading, the first included, never twice at once; the caller keeps the last good one.
   * Where it fails, the folder is read again at the next look.
   */
  readonly onGeneration: (generation: Generation<T>) => void | Promise<void>;
  /** Called when something keeps a changed site from being read for long, or from being put in force. */
  readonly onHeld?: (problem: Problem) => void;
  /** Milliseconds without a change before the folder is read. */
  readonly quietMs?: number;
  /** Milliseconds between looks at the folder where the kernel reports nothing, as on NFS. */
  readonly pollMs?: number;
  /** Milliseconds after which a git lock is reported. */
  readonly heldMs?: number;
}

export interface SiteWatch {
  /** Reads the folder again even if nothing changed. */
  readonly reload: () => void;
  readonly stop: () => Promise<void>;
}

/**
 * Reads the site folder now and after every change, once its files are quiet and no git operation holds
 * the index; a change during the reading makes it read again before anybody hears of it. Resolves when
 * the first generation was delivered.
 */
export async function watchSite<T>(options: WatchOptions<T>): Promise<SiteWatch> {
  const { dir, pollMs = 5000 } = options;
  const stopping = new AbortController();
  const bell = createBell();
  // Events of the kernel are only a reason to look: some file systems send none, so there is a poll too.
  const unwatch = watchTree(dir, bell.ring);
  let number = 0;
  let known = '';
  let forced = true;

  const look = async (): Promise<void> => {
    const now = await fingerprintFolder(dir);
    if (now === known && !forced) return;
    const reading = await readWhenQuiet(options, stopping.signal);
    if (!reading) return;
    forced = false;
    await options.onGeneration({ number: number + 1, result: reading.result });
    known = reading.fingerprint;
    number += 1;
  };
  let failure = '';
  /** A disk that is full today is not so for ever: what failed is tried again at the next look. */
  const lookOrRetry = async (): Promise<void> => {
    try {
      await look();
      failure = '';
    } catch (error) {
      forced = true;
      const why = error instanceof Error ? error.message : String(error);
      if (why === failure) return;
      failure = why;
      const message = `the site cannot be put in force: ${why}`;
      const hint = `it is tried again every ${pollMs / 1000} s`;
      options.onHeld?.({ file: '', line: 0, path: '', message, hint });
    }
  };
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await bell.wait(pollMs, stopping.signal);
      if (!stopping.signal.aborted) await lookOrRetry();
    }
  };

  await look();
  const running = run();
  return {
    reload: () => {
      forced = true;
      bell.ring();
    },
    stop: async () => {
      stopping.abort();
      unwatch();
      await running;
    },
  };
}

/** Reads the folder at a moment when nobody writes it; undefined where the watch stops meanwhile. */
async function readWhenQuiet<T>(
  options: WatchOptions<T>,
  signal: AbortSignal,
): Promise<{ readonly result: Result<T>; readonly fingerprint: string } | undefined> {
  const { dir, load, quietMs = 300 } = options;
  let before = await fingerprintFolder(dir);
  while (!signal.aborted) {
    await waitForGit(options, signal);
    await pause(quietMs, signal);
    const quiet = await fingerprintFolder(dir);
    const still = quiet === before && (await heldGitLock(dir)) === undefined;
    before = quiet;
    if (!still || signal.aborted) continue;
    const result = await load();
    before = await fingerprintFolder(dir);
    if (before === quiet) return { result, fingerprint: quiet };
  }
  return undefined;
}

async function waitForGit<T>(options: WatchOptions<T>, signal: AbortSignal): Promise<void> {
  const { dir, onHeld, heldMs = 30_000 } = options;
  const started = performance.now();
  let told = false;
  for (let lock = await heldGitLock(dir); lock && !signal.aborted; lock = await heldGitLock(dir)) {
    if (!told && performance.now() - started >= heldMs) {
      told = true;
      const message = `git holds ${lock}, so changes of the site are not read`;
      const hint = 'if no git command runs, one has crashed: delete that file';
      onHeld?.({ file: '', line: 0, path: '', message, hint });
    }
    await pause(100, signal);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal, ref: true }).catch(() => undefined);
}

/** Wakes one waiter; a ring while nobody waits is kept. */
function createBell() {
  let rung = false;
  let wake = (): void => undefined;
  return {
    ring: (): void => {
      rung = true;
      wake();
    },
    wait: async (ms: number, signal: AbortSignal): Promise<void> => {
      if (!rung) {
        const woken = new AbortController();
        wake = () => woken.abort();
        await pause(ms, AbortSignal.any([woken.signal, signal]));
        wake = () => undefined;
      }
      rung = false;
    },
  };
}
