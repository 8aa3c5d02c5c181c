import { join } from 'node:path';
import type { Digest } from '../digest.ts';
import { AppError } from '../errors.ts';
import { type FileLock, holdFileLock, shareFileLock } from '../system/file-lock.ts';

/** Below the store's folder: a file for each image that a command has used, locked by those that do now. */
export const useFolder = 'in-use';

/**
 * Keeps images from being deleted until the lock is released or this process has ended, however it does; refuses
 * one that is being deleted (`image-goes`).
 */
export async function useImages(state: string, digests: readonly Digest[]): Promise<FileLock> {
  const locks: FileLock[] = [];
  for (const digest of new Set(digests)) {
    const lock = await shareFileLock(useFile(state, digest));
    if (lock) {
      locks.push(lock);
      continue;
    }
    await releaseAll(locks);
    throw new AppError(
      'image-goes',
      `the image ${digest} is being deleted`,
      'wait for rolecall image gc, or answer what it asks; rolecall image ls shows what is left',
    );
  }
  return { release: () => releaseAll(locks) };
}

/** Images that nobody uses, claimed so that nobody begins to. */
export interface ClaimedImages {
  /** Those that could not be claimed: others use them. */
  readonly inUse: ReadonlySet<Digest>;
  release(): Promise<void>;
}

/** Claims images in order to delete them. */
export async function claimImages(
  state: string,
  digests: readonly Digest[],
): Promise<ClaimedImages> {
  const inUse = new Set<Digest>();
  const locks: FileLock[] = [];
  for (const digest of digests) {
    const lock = await holdFileLock(useFile(state, digest));
    if (lock) locks.push(lock);
    else inUse.add(digest);
  }
  return { inUse, release: () => releaseAll(locks) };
}

function useFile(state: string, digest: Digest): string {
  return join(state, 'images', useFolder, digest);
}

async function releaseAll(locks: readonly FileLock[]): Promise<void> {
  await Promise.all(locks.map((lock) => lock.release()));
}
