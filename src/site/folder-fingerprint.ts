import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '../digest.ts';

/** Backups, Vim's swap files and write test, Emacs' locks, and files written aside before a rename. */
const editorsOwn = /~$|^\..*\.sw[a-z]$|^4913$|^\.?#|\.tmp$/;

/**
 * A text that changes whenever a file of the folder is written, replaced, added or removed; `.git` does
 * not count, and neither do files that editors write beside the one they edit. What vanishes meanwhile is left out.
 */
export async function fingerprintFolder(dir: string): Promise<string> {
  const lines: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    const names = await readdir(join(dir, folder)).catch(() => []);
    for (const name of names.sort()) {
      if (name === '.git' || editorsOwn.test(name)) continue;
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
