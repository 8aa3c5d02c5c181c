import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Problem, Result } from '../errors.ts';
import { unreadable } from '../system/unreadable.ts';
import { parseRole } from './parse-role.ts';
import type { Role, RoleFile } from './role.ts';

/** Where the roles are that come with the program. */
export const shippedRolesDir = join(import.meta.dirname, '../../roles');

/**
 * The shipped roles and the site's own ones by name, sorted; a site's role of the same name replaces
 * the shipped folder whole. Gives back the problems of every role together.
 */
export async function loadRoles(
  siteDir: string,
  shippedDir: string = shippedRolesDir,
): Promise<Result<ReadonlyMap<string, Role>>> {
  const problems: Problem[] = [];
  const shipped = await roleFolders(shippedDir, shippedDir, problems);
  const own = await roleFolders(join(siteDir, 'roles'), 'roles', problems);
  const roles = new Map<string, Role>();
  for (const name of [...new Set([...shipped, ...own])].sort()) {
    const isOwn = own.includes(name);
    const dir = join(isOwn ? join(siteDir, 'roles') : shippedDir, name);
    const result = await loadRole(name, dir, isOwn);
    if (result.ok) roles.set(name, result.value);
    else problems.push(...result.problems);
  }
  return problems.length === 0 ? { ok: true, value: roles } : { ok: false, problems };
}

/** Names of the folders in a folder of roles; none where it does not exist. */
async function roleFolders(
  dir: string,
  file: string,
  problems: Problem[],
): Promise<readonly string[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    return entries.filter((e) => e.isDirectory() && !e.name.startsWith('.')).map((e) => e.name);
  } catch (error) {
    if (!isMissing(error)) problems.push(readProblem(file, error));
    return [];
  }
}

/** A file or folder that is there and cannot be read; other errors are thrown again. */
function readProblem(file: string, error: unknown): Problem {
  const why = unreadable(error);
  if (!why) throw error;
  return { file, line: 0, path: '', ...why };
}

async function loadRole(name: string, dir: string, own: boolean): Promise<Result<Role>> {
  const folder = own ? `roles/${name}` : dir;
  const file = `${folder}/role.yaml`;
  let text: string;
  try {
    text = await readFile(join(dir, 'role.yaml'), 'utf8');
  } catch (error) {
    if (!isMissing(error)) return { ok: false, problems: [readProblem(file, error)] };
    const hint = 'a role is a folder with role.yaml and files/';
    const message = `the folder of the role ${name} has no role.yaml`;
    return { ok: false, problems: [{ file, line: 0, path: '', message, hint }] };
  }
  try {
    const tree = await readTree(join(dir, 'files'));
    return parseRole({ name, dir, own, file, text, tree });
  } catch (error) {
    return { ok: false, problems: [readProblem(`${folder}/files`, error)] };
  }
}

/** The files and links under a role's `files/`, sorted by their path on the node. */
async function readTree(root: string): Promise<readonly RoleFile[]> {
  const files: RoleFile[] = [];
  const walk = async (folder: string): Promise<void> => {
    for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      const source = join(root, path);
      if (entry.isDirectory()) await walk(path);
      else if (entry.isSymbolicLink()) {
        files.push({ path, source, kind: 'symlink', target: await readlink(source) });
      } else if (entry.isFile() && path.endsWith('.ejs')) {
        files.push({ path: path.slice(0, -'.ejs'.length), source, kind: 'template' });
      } else if (entry.isFile()) files.push({ path, source, kind: 'file' });
    }
  };
  try {
    await walk('');
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
