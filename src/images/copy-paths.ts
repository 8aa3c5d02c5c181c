import { writeFile } from 'node:fs/promises';
import { runContained } from '../system/run-contained.ts';

/**
 * Copies these names of a tree into another one, and nothing below them, with all that an inode has: owner, mode,
 * times, extended attributes, and its other names as far as they are among them. `scratch` is the name of files
 * for the time of the copy. Needs root.
 */
export async function copyPaths(
  from: string,
  paths: readonly string[],
  to: string,
  scratch: string,
): Promise<void> {
  await writeFile(scratch, paths.map((path) => `./${path}\0`).join(''));
  await runContained('sh', ['-c', script, 'sh', from, scratch, to]);
}

const all = '--format=posix --numeric-owner --xattrs --xattrs-include=*';

// Folders get their owner, mode and time after all that is in them.
const script = [
  'set -f',
  `tar --create --directory "$1" ${all} --no-recursion --null --files-from "$2" >"$2.tar"`,
  `exec tar --extract --directory "$3" ${all} --same-owner --preserve-permissions --file "$2.tar"`,
].join(' && ');
