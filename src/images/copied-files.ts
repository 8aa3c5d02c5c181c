import { createHash } from 'node:crypto';
import {
  chmod,
  copyFile,
  lchown,
  lstat,
  lutimes,
  mkdir,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  symlink,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Digest, digestOfValue } from '../digest.ts';
import { AppError } from '../errors.ts';
import type { CopiedFiles, ImageContents } from './image-definition.ts';
import { resolveInRoot } from './resolve-in-root.ts';

/** One file of the site, or one folder or link of it, and where it goes in the root. */
interface CopiedPath {
  readonly from: string;
  readonly to: string;
  readonly kind: 'file' | 'folder' | 'link';
  readonly executable: boolean;
}

/** Digest of the names, bytes and execute bits of a file, or of all in a folder; refuses what is not there. */
export async function digestOfFiles(from: string): Promise<Digest> {
  const rows: unknown[] = [];
  for (const { from: file, to, kind, executable } of await walk(from, '')) {
    const content =
      kind === 'file'
        ? createHash('sha256')
            .update(await readFile(file))
            .digest('hex')
        : kind === 'link'
          ? await readlink(file)
          : '';
    rows.push([to, kind, executable, content]);
  }
  return digestOfValue(rows);
}

/** Digest of the files that an image copies and of its hooks; not of where they are. */
export async function digestOfBrought({
  files,
  hooks,
}: Pick<ImageContents, 'files' | 'hooks'>): Promise<Digest> {
  const copied = files.map(async (rule) => [
    ...[await digestOfFiles(rule.from), await placeOf(rule), rule.mode ?? null, rule.owner],
  ]);
  const run = hooks.map(async (hook) => {
    // What is run of a link is what it leads to.
    const script = await realpath(hook.run).catch(() => hook.run);
    return [await digestOfFiles(script), hook.network, hook.secrets];
  });
  return digestOfValue([await Promise.all(copied), await Promise.all(run)]);
}

/** Copies files of the site into a root; `epoch` (seconds) is their time. Refuses an owner that the root has not. */
export async function copyFiles(root: string, rule: CopiedFiles, epoch: number): Promise<void> {
  const { uid, gid } = await ownerIn(root, rule.owner);
  for (const one of await walk(rule.from, await placeOf(rule))) {
    const place = await resolveInRoot(root, one.to);
    await makeFolders(root, dirname(one.to), epoch);
    if (one.kind === 'folder') {
      await makeFolders(root, one.to, epoch);
      continue;
    }
    await rm(place, { force: true });
    if (one.kind === 'link') await symlink(await readlink(one.from), place);
    else await copyFile(one.from, place);
    await lchown(place, uid, gid);
    if (one.kind === 'file') await chmod(place, rule.mode ?? (one.executable ? 0o755 : 0o644));
    await lutimes(place, epoch, epoch);
  }
}

/** Where it goes: a file by its own name into what is written as a folder. */
async function placeOf({ from, to }: Pick<CopiedFiles, 'from' | 'to'>): Promise<string> {
  const goesInto = /(^|\/)$/.test(to) && !(await lstat(from)).isDirectory();
  return goesInto ? join(to, basename(from)) : to;
}

/** Folders that are not there yet, as root's and for everybody to read. */
async function makeFolders(root: string, path: string, epoch: number): Promise<void> {
  if (path === '' || path === '.') return;
  const place = await resolveInRoot(root, path, 'through');
  if (await lstat(place).catch(() => undefined)) return;
  await makeFolders(root, dirname(path), epoch);
  await mkdir(place);
  await chmod(place, 0o755);
  await lutimes(place, epoch, epoch);
}

async function walk(from: string, to: string): Promise<CopiedPath[]> {
  const found = await lstat(from).catch((cause: unknown) => {
    throw new AppError('no-file', `${from} is not there`, 'files: and hooks: of an image name it', {
      cause,
    });
  });
  const executable = (found.mode & 0o111) !== 0;
  if (found.isFile()) return [{ from, to, kind: 'file', executable }];
  if (found.isSymbolicLink()) return [{ from, to, kind: 'link', executable: false }];
  if (!found.isDirectory()) {
    throw new AppError('no-file', `${from} is neither file nor folder`, 'take it away');
  }
  const all: CopiedPath[] = [{ from, to, kind: 'folder', executable: false }];
  for (const name of (await readdir(from)).sort()) {
    all.push(...(await walk(join(from, name), join(to, name))));
  }
  return all;
}

async function ownerIn(root: string, owner: string): Promise<{ uid: number; gid: number }> {
  const [user = '', group = ''] = owner.split(':');
  const idOf = async (name: string, file: string) => {
    if (name === 'root') return 0;
    if (/^\d+$/.test(name)) return Number(name);
    const text = await readFile(join(root, file), 'utf8').catch(() => '');
    const line = text.split('\n').find((row) => row.startsWith(`${name}:`));
    if (line !== undefined) return Number(line.split(':')[2]);
    const hint = 'owner: user:group of files: in the image definition; users: makes accounts';
    throw new AppError('no-account', `the image has no ${name} in ${file}`, hint);
  };
  return { uid: await idOf(user, 'etc/passwd'), gid: await idOf(group, 'etc/group') };
}
