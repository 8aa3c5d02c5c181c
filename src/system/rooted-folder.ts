import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '../errors.ts';
import { unreadable } from './unreadable.ts';

/** A folder whose files are read through one door: no `..` and no symlink leads out of it. */
export interface RootedFolder {
  /** Absolute path, symlinks resolved. */
  readonly root: string;
  /** The bytes of a file; undefined where there is none. Refuses what lies outside (`outside-folder`). */
  readonly read: (relative: string) => Promise<Buffer | undefined>;
  /** The names in a folder, sorted, and whether each is a folder; empty where there is none. Refuses a file. */
  readonly list: (relative: string) => Promise<readonly FolderEntry[]>;
}

export interface FolderEntry {
  readonly name: string;
  readonly isFolder: boolean;
}

/** What an operator writes by hand is smaller; a device or a log put there by mistake is not. */
const largest = 16 * 1024 * 1024;

async function kindOf(file: string): Promise<{ size: number; isFile: boolean }> {
  const found = await stat(file);
  return { size: found.size, isFile: found.isFile() };
}

/** Opens a folder; refuses what is no folder (`no-folder`). */
export async function openRootedFolder(dir: string): Promise<RootedFolder> {
  const root = await realpath(dir).catch(() => undefined);
  const isFolder = root !== undefined && (await stat(root)).isDirectory();
  if (!isFolder) {
    const hint = 'rolecall init makes a site; --site DIR names another folder';
    throw new AppError('no-folder', `${dir} is no folder`, hint);
  }
  return {
    root,
    async read(relative) {
      const file = await resolveInside(root, relative);
      if (file === undefined) return undefined;
      const { size, isFile } = await kindOf(file);
      if (!isFile) {
        const hint = 'put a file there, or take it away';
        throw new AppError('no-file', `${relative} is no file`, hint);
      }
      if (size > largest) {
        throw new AppError(
          'file-too-large',
          `the file has ${size} bytes, and at most ${largest} are read`,
          'restore it, or take it away',
        );
      }
      return await readFile(file);
    },
    async list(relative) {
      const folder = await resolveInside(root, relative);
      if (folder === undefined) return [];
      if (!(await stat(folder)).isDirectory()) {
        const hint = 'put a folder there, or take it away';
        throw new AppError('no-folder', `${relative} is no folder`, hint);
      }
      const names = (await readdir(folder)).sort();
      return await Promise.all(names.map((name) => entry(path.join(folder, name), name)));
    },
  };
}

async function entry(file: string, name: string): Promise<FolderEntry> {
  const found = await stat(file).catch(() => undefined);
  return { name, isFolder: found?.isDirectory() ?? false };
}

/** The real path behind a relative one, checked after every symlink is resolved. */
async function resolveInside(root: string, relative: string): Promise<string | undefined> {
  const wanted = path.resolve(root, relative);
  const real = await realpath(wanted).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    const why = unreadable(error);
    if (!why) throw error;
    throw new AppError('unreadable', why.message, why.hint, { cause: error });
  });
  const inside = (file: string) => file === root || file.startsWith(root + path.sep);
  if (!inside(wanted) || (real !== undefined && !inside(real))) {
    throw new AppError(
      'outside-folder',
      `${relative} leads out of the folder`,
      'put the file itself there, not a link to it',
    );
  }
  return real;
}
