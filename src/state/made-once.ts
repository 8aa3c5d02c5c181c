import { link, mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncFolder } from '../system/durable-file.ts';

/**
 * The text of a file that is made once, readable by its owner only: the same at every call, also where two
 * are under way. `make` writes it into a folder of its own and gives back its path.
 */
export async function madeOnce(
  file: string,
  make: (aside: string) => Promise<string>,
): Promise<string> {
  const dir = dirname(file);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const there = await readIfThere(file);
  if (there !== undefined) return there;
  const aside = await mkdtemp(join(dir, '.making-'));
  try {
    const made = await make(aside);
    await syncFile(made);
    // A link never replaces a file that is there: who comes second takes the first one's.
    await link(made, file).catch((error: unknown) => {
      if (!isCode(error, 'EEXIST')) throw error;
    });
    await syncFolder(dir);
    return await readFile(file, 'utf8');
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The text of a file; undefined where there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  });
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
