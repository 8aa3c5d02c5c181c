import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../errors.ts';
import { renderProblems } from '../render-problems.ts';
import { writeDurably } from '../system/durable-file.ts';
import { type PackageLock, parseLock, renderLock } from './package-lock.ts';

/** Where a site keeps the lock of an image: one file for each architecture. */
export function siteLockFile(siteDir: string, name: string, architecture: string): string {
  return join(siteDir, 'images', `${name}.${architecture}.lock`);
}

/** The lock in the file; undefined where there is no file. Refuses what is no lock, with every line. */
export async function readLockFile(file: string): Promise<PackageLock | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const parsed = parseLock(text, file);
  if (parsed.ok) return parsed.value;
  throw new AppError('invalid-site', renderProblems(parsed.problems));
}

/** Writes the lock whole or not at all; a new one belongs to whom the folder above belongs. */
export async function writeLockFile(file: string, lock: PackageLock): Promise<void> {
  const text = renderLock(lock);
  if ((await readFile(file, 'utf8').catch(() => '')) === text) return;
  const owner = await ownerAbove(file);
  await writeDurably(file, text, owner ? { owner } : {});
}

async function ownerAbove(file: string): Promise<{ uid: number; gid: number } | undefined> {
  for (const folder of [dirname(file), dirname(dirname(file))]) {
    const found = await stat(folder).catch(() => undefined);
    if (found) return { uid: found.uid, gid: found.gid };
  }
  return undefined;
}
