import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.ts';

/** As many as the kernel follows (path_resolution(7)). */
const mostLinks = 40;

/**
 * Where a path of the root is on this machine, with links followed as in the root: what is absolute starts at its
 * top, and `..` ends there. The last name is not followed, unless `through` is said.
 */
export async function resolveInRoot(
  root: string,
  path: string,
  last: 'through' | 'itself' = 'itself',
): Promise<string> {
  const open = path.split('/').filter((name) => name !== '' && name !== '.');
  const found: string[] = [];
  let links = 0;
  for (let name = open.shift(); name !== undefined; name = open.shift()) {
    if (name === '..') {
      found.pop();
      continue;
    }
    const target =
      open.length === 0 && last === 'itself'
        ? undefined
        : await readlink(join(root, ...found, name)).catch(() => undefined);
    if (target === undefined) {
      found.push(name);
      continue;
    }
    links += 1;
    if (links > mostLinks) throw new AppError('link-loop', `links of ${path} lead in a circle`, '');
    if (target.startsWith('/')) found.length = 0;
    open.unshift(...target.split('/').filter((part) => part !== '' && part !== '.'));
  }
  return join(root, ...found);
}
