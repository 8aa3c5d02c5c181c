import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { trimRoot } from '../../../src/images/steps/trim.ts';

let folder = '';
let root = '';
let host = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trim-'));
  root = join(folder, 'root');
  // Stands for a folder of the build host that the root happens to name.
  host = join(folder, 'host');
  for (const path of ['etc/systemd', 'tmp', 'usr/share/doc', 'var']) {
    await mkdir(join(root, path), { recursive: true });
  }
});
afterEach(() => rm(folder, { recursive: true }));

async function write(place: string, text = 'kept\n'): Promise<void> {
  await mkdir(dirname(place), { recursive: true });
  await writeFile(place, text);
}

const trim = (paths: readonly string[] = []) =>
  trimRoot(root, { paths, modules: [] }, join(folder, 'lists'));

describe('a link of the root that is absolute', () => {
  it('empties and prunes what it leads to in the root, and nothing of the build host', async () => {
    await write(join(host, 'file'));
    await write(join(root, host, 'file'));
    await symlink(host, join(root, 'var/tmp'));
    await write(join(host, 'doc/page'));
    await write(join(root, host, 'doc/page'));
    await symlink(host, join(root, 'usr/share/more'));
    await trim(['usr/share/more/doc']);
    expect((await readdir(host, { recursive: true })).sort()).toEqual(['doc', 'doc/page', 'file']);
    expect(await readdir(join(root, host))).toEqual([]);
  });

  it('disables the units of the root, and none of the build host', async () => {
    const wants = 'multi-user.target.wants/web.service';
    await write(join(host, wants));
    await write(join(root, host, wants));
    await symlink(host, join(root, 'etc/systemd/system'));
    await trim();
    expect(await readFile(join(host, wants), 'utf8')).toBe('kept\n');
    expect(await readdir(join(root, host))).toEqual([]);
  });

  it('gives way to a file of every image', async () => {
    await write(join(host, 'hosts'));
    await symlink(join(host, 'hosts'), join(root, 'etc/hosts'));
    await trim();
    expect(await readFile(join(host, 'hosts'), 'utf8')).toBe('kept\n');
    expect(await readFile(join(root, 'etc/hosts'), 'utf8')).toContain('127.0.0.1 localhost');
  });
});
