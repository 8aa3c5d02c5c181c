import { rename, rm } from 'node:fs/promises';
import { AppError } from '../errors.ts';

/**
 * Ends a build that failed: its folder goes, or on request stays beside where it was, which the error then says.
 * The folder of an earlier failure goes.
 */
export async function endFailed(work: string, keep: boolean, error: unknown): Promise<unknown> {
  if (!keep || !(error instanceof Error)) {
    await rm(work, { recursive: true, force: true });
    return error;
  }
  const kept = `${work}-failed`;
  await rm(kept, { recursive: true, force: true });
  await rename(work, kept);
  const { code, hint } = error instanceof AppError ? error : { code: 'step-failed', hint: '' };
  return new AppError(code, `${error.message}\nthe build folder is kept: ${kept}`, hint, {
    cause: error,
  });
}
