import { createHash, randomBytes } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rename, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestOfValue } from '../digest.ts';
import { runContained } from '../system/run-contained.ts';
import { damageIn, recordFile, recordOutput } from './step-output.ts';

/** What the kernel's package brings beside the modules; depmod reads them and makes all other lists. */
const brought = ['modules.order', 'modules.builtin', 'modules.builtin.modinfo'];

/** What decides the lists besides the modules: depmod itself, and depmod.d(5). */
const deciding = ['usr/bin/kmod', 'etc/depmod.d', 'usr/lib/depmod.d'];

/**
 * Makes the lists by which modprobe finds the modules of a root, as the root's own depmod(8) does. That unpacks
 * every module: what it made is kept in the folder `kept`, under a digest of all that it reads, and taken from there
 * where it is whole.
 */
export async function indexModules(
  root: string,
  version: string,
  kept: string,
  depmod: (root: string, version: string) => Promise<unknown> = runDepmod,
): Promise<void> {
  const folder = join(root, 'usr/lib/modules', version);
  for (const name of await listsIn(folder)) await rm(join(folder, name));
  const entry = join(kept, await digestOfInputs(root, folder));
  if ((await damageIn(entry, 'bytes')) === undefined) {
    await copyAll(
      entry,
      folder,
      (await readdir(entry)).filter((name) => name !== recordFile),
    );
    await utimes(entry, new Date(), new Date());
    return;
  }
  await depmod(root, version);
  const aside = `${entry}.${randomBytes(6).toString('hex')}`;
  await mkdir(aside, { recursive: true });
  await copyAll(folder, aside, await listsIn(folder));
  await recordOutput(aside, {});
  await rm(entry, { recursive: true, force: true });
  await rename(aside, entry);
}

/** The root has its own depmod: this machine may have none. */
function runDepmod(root: string, version: string): Promise<unknown> {
  return runContained('chroot', [root, 'depmod', version]);
}

async function listsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return names.filter((name) => name.startsWith('modules.') && !brought.includes(name));
}

async function copyAll(from: string, to: string, names: readonly string[]): Promise<void> {
  for (const name of names) await copyFile(join(from, name), join(to, name));
}

async function digestOfInputs(root: string, modules: string): Promise<Digest> {
  const rows: string[][] = [];
  for (const path of [modules, ...deciding.map((one) => join(root, one))]) {
    for (const file of await filesAt(path)) {
      const bytes = await readFile(file);
      rows.push([file.slice(root.length), createHash('sha256').update(bytes).digest('hex')]);
    }
  }
  return digestOfValue(rows);
}

/** The file, or all below the folder, sorted; none where nothing is there. Links are no modules. */
async function filesAt(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOTDIR') return undefined;
      if (error.code === 'ENOENT') return [];
      throw error;
    },
  );
  if (!entries) return [path];
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => join(entry.parentPath, entry.name)).sort();
}
