import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError } from '../errors.ts';

/** A lock that this process holds until it releases it or dies, however it dies. */
export interface FileLock {
  release(): Promise<void>;
}

/**
 * Takes the lock on `path`, or gives undefined where another living process holds it.
 * The lock is flock(2)'s: the kernel drops it with its holder, a child that ends when our end
 * of its pipe closes, so a killed process leaves none behind.
 */
export function holdFileLock(path: string): Promise<FileLock | undefined> {
  return takeFileLock(path, ['--nonblock']);
}

/** The same, for any number of holders at once, and none while one holds it alone. */
export function shareFileLock(path: string): Promise<FileLock | undefined> {
  return takeFileLock(path, ['--nonblock', '--shared']);
}

/** Takes it alone, and waits for as long as another process holds it: only where that is short. */
export async function waitForFileLock(path: string): Promise<FileLock> {
  const lock = await takeFileLock(path, []);
  if (!lock) throw new Error('flock gave up waiting');
  return lock;
}

async function takeFileLock(
  path: string,
  options: readonly string[],
): Promise<FileLock | undefined> {
  await mkdir(dirname(path), { recursive: true });
  const holder = spawn(
    'flock',
    [...options, '--no-fork', '--conflict-exit-code', '75', path, 'sh', '-c', 'echo held; cat'],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  const ended = once(holder, 'exit');
  const failed = once(holder, 'error').then(([error]) => {
    throw new AppError(
      'program-not-found',
      'flock is not installed',
      'apt-get install util-linux',
      {
        cause: error,
      },
    );
  });
  failed.catch(() => undefined);
  const first = await Promise.race([once(holder.stdout, 'data').then(() => 'held'), ended, failed]);
  if (first === 'held') {
    return {
      release: async () => {
        holder.stdin.end();
        await ended;
      },
    };
  }
  if (holder.exitCode === 75) return undefined;
  throw new AppError(
    'lock-failed',
    `the lock ${path} cannot be taken`,
    'the folder must be writable, on a file system with flock(2)',
  );
}
