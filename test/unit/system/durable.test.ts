import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { writeDurably } from '../../../src/system/durable-file.ts';
import { holdFileLock } from '../../../src/system/file-lock.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'durable-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it('a durable file is whole, replaces the old one, and leaves nothing beside it', async () => {
  const path = join(folder, 'new/folder/file');
  await writeDurably(path, 'one');
  await writeDurably(path, 'two');
  expect(await readFile(path, 'utf8')).toBe('two');
  expect(await readdir(join(folder, 'new/folder'))).toEqual(['file']);
});

it('a durable file that cannot be put there leaves the old one and nothing beside it', async () => {
  await mkdir(join(folder, 'file/in-the-way'), { recursive: true });
  await expect(writeDurably(join(folder, 'file'), 'x')).rejects.toThrow();
  expect(await readdir(folder)).toEqual(['file']);
});

it('a durable file keeps mode and owner of the one that it replaces', async () => {
  const path = join(folder, 'file');
  await writeFile(path, 'one');
  await chmod(path, 0o640);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) await chown(path, 0, 1);
  await writeDurably(path, 'two');
  const { mode, gid } = await stat(path);
  expect((mode & 0o7777).toString(8)).toBe('640');
  expect(gid).toBe(isRoot ? 1 : process.getgid?.());
});

it('a lock is held once, and again when it was released', async () => {
  const path = join(folder, 'lock');
  const first = await holdFileLock(path);
  expect(first).toBeDefined();
  expect(await holdFileLock(path)).toBeUndefined();
  await first?.release();
  const second = await holdFileLock(path);
  expect(second).toBeDefined();
  await second?.release();
});

it('a killed process holds no lock', async () => {
  const path = join(folder, 'lock');
  const module = join(import.meta.dirname, '../../../src/system/file-lock.ts');
  const holder = spawn(
    process.execPath,
    [
      ...['--input-type=module', '-e'],
      `const { holdFileLock } = await import(${JSON.stringify(module)});
       const lock = await holdFileLock(${JSON.stringify(path)});
       console.log(lock ? 'held' : 'refused'); setInterval(() => {}, 1000);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [line] = await once(holder.stdout, 'data');
  expect(String(line).trim()).toBe('held');
  expect(await holdFileLock(path)).toBeUndefined();
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  // The kernel closes the dead one's pipe; its child sees that and lets go.
  let lock = await holdFileLock(path);
  while (!lock) lock = await holdFileLock(path);
  await lock.release();
});
