import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';

/** A package or a step's output in a cache. */
export interface CacheEntry {
  readonly path: string;
  readonly bytes: number;
  /** When a build last used it, milliseconds since 1970. */
  readonly used: number;
  /** The build that runs uses it. */
  readonly needed: boolean;
}

/** Which entries have to go so that all others fit: those first that were used longest ago, none that is needed. */
export function planEviction(entries: readonly CacheEntry[], limit: number): CacheEntry[] {
  let bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  const gone: CacheEntry[] = [];
  const oldestFirst = entries.filter((entry) => !entry.needed).sort((a, b) => a.used - b.used);
  for (const entry of oldestFirst) {
    if (bytes <= limit) break;
    gone.push(entry);
    bytes -= entry.bytes;
  }
  return gone;
}

/** Marks files and folders as used now, as far as they are there. */
export async function markUsed(paths: Iterable<string>, now: number): Promise<void> {
  for (const path of paths) {
    await utimes(path, new Date(now), new Date(now)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
}

/**
 * Deletes what is not needed, used longest ago first, until the folders hold `limit` bytes at most. An entry is a
 * file or a folder right below one of the folders.
 */
export async function limitCache(
  folders: readonly string[],
  needed: ReadonlySet<string>,
  limit: number,
): Promise<void> {
  const entries: CacheEntry[] = [];
  for (const folder of folders) {
    for (const name of await readdir(folder).catch(() => [])) {
      const path = join(folder, name);
      const used = (await stat(path)).mtimeMs;
      entries.push({ path, bytes: await bytesOf(path), used, needed: needed.has(path) });
    }
  }
  for (const { path } of planEviction(entries, limit)) {
    await rm(path, { recursive: true, force: true });
  }
}

/** Deletes of the folder what is not used now, and was used before `since`. */
export async function forgetUnused(
  folder: string,
  used: ReadonlySet<string>,
  since: number,
): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    if (used.has(path)) continue;
    if ((await stat(path)).mtimeMs < since) await rm(path, { recursive: true, force: true });
  }
}

async function bytesOf(path: string): Promise<number> {
  const own = await stat(path);
  if (!own.isDirectory()) return own.size;
  let bytes = 0;
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}

/** Bytes that a text such as `4G`, `500M` or `1048576` names; undefined where it names none. */
export function parseSize(text: string): number | undefined {
  const match = /^([1-9][0-9]*)([KMGT]?)$/i.exec(text);
  if (!match) return undefined;
  const [, count, unit = ''] = match;
  return Number(count) * 1024 ** ' KMGT'.indexOf(unit.toUpperCase() || ' ');
}
