import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { copyFiles, digestOfBrought, digestOfFiles } from '../../../src/images/copied-files.ts';
import { resolveInRoot } from '../../../src/images/resolve-in-root.ts';

const epoch = 1754697600;
const uid = process.getuid?.() ?? 0;
const gid = process.getgid?.() ?? 0;
let folder = '';
let root = '';
let own = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'copied-'));
  root = join(folder, 'root');
  own = join(folder, 'own');
  await mkdir(join(root, 'etc'), { recursive: true });
  await mkdir(join(root, 'usr/lib'), { recursive: true });
  await symlink('usr/lib', join(root, 'lib'));
  await symlink('/run', join(root, 'srv'));
  await writeFile(join(root, 'etc/passwd'), `me:x:${uid}:${gid}::/:/bin/sh\n`);
  await writeFile(join(root, 'etc/group'), `us:x:${gid}:\n`);
  await mkdir(join(own, 'lib/x'), { recursive: true });
  await writeFile(join(own, 'lib/x/program'), '#!/bin/sh\n');
  await chmod(join(own, 'lib/x/program'), 0o700);
  await writeFile(join(own, 'motd'), 'hello\n');
  await symlink('../motd', join(own, 'lib/link'));
});
afterEach(() => rm(folder, { recursive: true }));

const rule = { to: '', mode: undefined, owner: 'me:us' };

it('a folder goes over the root, through its links, with modes and a time that no build decides', async () => {
  await copyFiles(root, { ...rule, from: own }, epoch);
  const program = await stat(join(root, 'usr/lib/x/program'));
  expect([program.mode & 0o7777, program.mtimeMs / 1000]).toEqual([0o755, epoch]);
  expect((await stat(join(root, 'motd'))).mode & 0o7777).toBe(0o644);
  expect((await stat(join(root, 'usr/lib/x'))).mode & 0o7777).toBe(0o755);
  expect(await readlink(join(root, 'usr/lib/link'))).toBe('../motd');
  expect((await lstat(join(root, 'lib'))).isSymbolicLink()).toBe(true);
});

it('a file goes where it is told to, or by its name into a folder', async () => {
  await copyFiles(root, { ...rule, from: join(own, 'motd'), to: 'etc/other', mode: 0o600 }, epoch);
  await copyFiles(root, { ...rule, from: join(own, 'motd'), to: 'etc/new/' }, epoch);
  expect((await stat(join(root, 'etc/other'))).mode & 0o7777).toBe(0o600);
  expect(await readFile(join(root, 'etc/new/motd'), 'utf8')).toBe('hello\n');
});

it('no link leads out of the root', async () => {
  await copyFiles(root, { ...rule, from: join(own, 'motd'), to: 'srv/../../motd.x' }, epoch);
  expect(await readdir(root)).toContain('motd.x');
  expect(await resolveInRoot(root, 'srv/file')).toBe(join(root, 'run/file'));
  expect(await resolveInRoot(root, 'srv', 'through')).toBe(join(root, 'run'));
  await symlink('loop', join(root, 'loop'));
  await expect(resolveInRoot(root, 'loop/x')).rejects.toMatchObject({ code: 'link-loop' });
});

it('an owner that the root has not is refused', async () => {
  const stranger = { ...rule, from: own, owner: 'stranger:us' };
  await expect(copyFiles(root, stranger, epoch)).rejects.toThrow('no stranger in etc/passwd');
});

it('the digest is that of names, bytes and execute bits, and of nothing else', async () => {
  const before = await digestOfFiles(own);
  await chmod(join(own, 'motd'), 0o600);
  expect(await digestOfFiles(own)).toBe(before);
  await chmod(join(own, 'motd'), 0o755);
  const executable = await digestOfFiles(own);
  expect(executable).not.toBe(before);
  await writeFile(join(own, 'motd'), 'hellO\n');
  expect(await digestOfFiles(own)).not.toBe(executable);
  await expect(digestOfFiles(join(own, 'gone'))).rejects.toThrow('gone is not there');
});

it('another name of a file that goes by its name into a folder is another image', async () => {
  const brought = (from: string, to: string) =>
    digestOfBrought({ files: [{ ...rule, from: join(own, from), to }], hooks: [] });
  const names = ['', 'etc/'];
  const before = await Promise.all([...names, 'etc/motd'].map((to) => brought('motd', to)));
  await rename(join(own, 'motd'), join(own, 'issue'));
  const after = await Promise.all([...names, 'etc/motd'].map((to) => brought('issue', to)));
  expect(after[0]).not.toBe(before[0]);
  expect(after[1]).not.toBe(before[1]);
  expect(after[2]).toBe(before[2]);
});

it('a hook that is a link is as new as the script that it leads to', async () => {
  await symlink('motd', join(own, 'hook'));
  const hooks = [{ run: join(own, 'hook'), network: false, secrets: [] }];
  const before = await digestOfBrought({ files: [], hooks });
  await writeFile(join(own, 'motd'), 'another script\n');
  expect(await digestOfBrought({ files: [], hooks })).not.toBe(before);
});
