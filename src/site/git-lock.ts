import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** Paths of `index.lock` of the repositories that a folder may belong to, nearest first; git holds it while it rewrites files. */
async function gitLockPaths(dir: string): Promise<readonly string[]> {
  const paths: string[] = [];
  for (let folder = resolve(dir); ; folder = dirname(folder)) {
    const gitDir = await gitDirOf(join(folder, '.git'));
    if (gitDir !== undefined) paths.push(join(gitDir, 'index.lock'));
    if (folder === dirname(folder)) return paths;
  }
}

/** `.git` is a folder, or in a worktree or submodule a file that names one (gitrepository-layout(5)). */
async function gitDirOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) return path;
  if (!found?.isFile()) return undefined;
  const text = await readFile(path, 'utf8').catch(() => '');
  const named = /^gitdir: (.+)$/m.exec(text)?.[1];
  return named === undefined ? undefined : resolve(dirname(path), named);
}

/** The first lock that is there now, or undefined. */
export async function heldGitLock(dir: string): Promise<string | undefined> {
  for (const path of await gitLockPaths(dir)) {
    if (await stat(path).catch(() => undefined)) return path;
  }
  return undefined;
}
