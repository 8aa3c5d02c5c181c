import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';

/**
 * Runs `work` with names for these absolute paths that a line of sources.list(5) can hold: those that it cannot are
 * reached by links in a folder for temporary files, for that long. apt splits the line at spaces and takes %XX for
 * another character, once in some places and twice in others, and `signed-by` can be quoted in no way.
 */
export async function withPlainNames<T>(
  paths: readonly string[],
  work: (plain: (path: string) => string) => Promise<T>,
): Promise<T> {
  const odd = paths.filter((path) => !isPlain(path));
  if (odd.length === 0) return work((path) => path);
  const folder = await mkdtemp(join(isPlain(tmpdir()) ? tmpdir() : '/tmp', 'rolecall-'));
  try {
    const names = new Map<string, string>();
    for (const path of new Set(odd)) {
      // By the extension apt tells a key's format.
      const name = join(folder, `${names.size}${isPlain(extname(path)) ? extname(path) : ''}`);
      await symlink(path, name);
      names.set(path, name);
    }
    return await work((path) => names.get(path) ?? path);
  } finally {
    await rm(folder, { recursive: true });
  }
}

function isPlain(path: string): boolean {
  return /^[\w/.+~-]*$/.test(path);
}
