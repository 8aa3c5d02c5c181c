import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Mode and owner of a file that replaces none; 0644 and this user's where absent. */
interface NewFile {
  readonly mode?: number;
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/**
 * Puts `content` at `path` whole or not at all: written aside, fsynced, renamed, folder fsynced.
 * A file that it replaces hands on its mode, and its owner where this user may give that.
 */
export async function writeDurably(
  path: string,
  content: string | Uint8Array,
  { mode = 0o644, owner }: NewFile = {},
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const aside = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const file = await open(aside, 'wx', mode);
    try {
      if (owner) await file.chown(owner.uid, owner.gid);
      await file.writeFile(content);
      await inherit(file, path);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** A role file that only the server's group may read must not become everybody's by an edit. */
async function inherit(file: FileHandle, replaced: string): Promise<void> {
  const old = await stat(replaced).catch(() => undefined);
  if (!old?.isFile()) return;
  const own = await file.stat();
  if (own.uid !== old.uid || own.gid !== old.gid) {
    await file.chown(old.uid, old.gid).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPERM') throw error;
    });
  }
  await file.chmod(old.mode & 0o7777);
}

/** Brings the names in a folder to the disk. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Brings a folder and all that is in it to the disk, and nothing else: what besides is being written to the file
 * system, such as a root that is thrown away before long, is not waited for.
 */
export async function syncTree(path: string): Promise<void> {
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    // fsync(2) of a link or a device would be one of what it leads to.
    if (!entry.isFile() && !entry.isDirectory()) continue;
    await syncFolder(join(entry.parentPath, entry.name));
  }
  await syncFolder(path);
}
