import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { holdFileLock } from '../system/file-lock.ts';

/**
 * Runs `work` while nobody else builds, imports or deletes images in this state folder; refuses where somebody
 * does (`build-running`).
 */
export async function underBuildLock<T>(state: string, work: () => Promise<T>): Promise<T> {
  const lock = await holdFileLock(join(state, 'build.lock'));
  if (!lock) {
    throw new AppError(
      'build-running',
      `another build, import or gc is running in ${state}`,
      'wait for it to end',
    );
  }
  try {
    return await work();
  } finally {
    await lock.release();
  }
}
