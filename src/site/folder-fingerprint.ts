import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '../digest.ts';

/**
 * A text that changes whenever a file of the folder is written, replaced, added or removed; `.git` does
 * not count, and neither do the swap and aside files of editors. What vanishes meanwhile is left out.
 */
export async function fingerprintFolder(dir: string): Promise<string> {
  const lines: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    const names = await readdir(join(dir, folder)).catch(() => []);
    for (const name of names.sort()) {
      if (name.startsWith('.') || name.endsWith('~') || name.endsWith('.tmp')) continue;
      const path = folder === '' ? name : `${folder}/${name}`;
      const found = await lstat(join(dir, path), { bigint: true }).catch(() => undefined);
      if (!found) continue;
      if (found.isDirectory()) await walk(path);
      else lines.push(`${path} ${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`);
    }
  };
  await walk('');
  return digestOf(lines.join('\n'));
}
