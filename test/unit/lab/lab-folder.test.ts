import { appendFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type LabFolder,
  labFolder,
  prepareLabSite,
  requireSocketPaths,
} from '../../../src/lab/lab-folder.ts';
import { planGuests } from '../../../src/lab/vm-spec.ts';
import { loadSite } from '../../../src/site/load-site.ts';

const example = resolve(import.meta.dirname, '../../../examples/lab');
let folder: LabFolder;
beforeEach(async () => {
  folder = labFolder(join(await mkdtemp(join(tmpdir(), 'rc-folder-')), 'lab'));
});
afterEach(() => rm(resolve(folder.root, '..'), { recursive: true }));

describe('the working copy of a site', () => {
  it('is valid, keeps the comments, and lets the new key in', async () => {
    expect(await prepareLabSite(folder, example, false)).toBe('copied');
    const site = await loadSite(folder.site);
    if (!site.ok) throw new Error(JSON.stringify(site.problems));
    const publicKey = (await readFile(`${folder.key}.pub`, 'utf8')).trim();
    const original = await loadSite(example);
    expect(site.value.admins).toEqual([...(original.ok ? original.value.admins : []), publicKey]);
    const [copy, source] = await Promise.all(
      [folder.site, example].map((dir) => readFile(join(dir, 'site.yaml'), 'utf8')),
    );
    const comments = (text = '') => text.match(/#.*/g);
    expect(comments(copy)).toEqual(comments(source));
  });

  it('has a private key that nobody else can read', async () => {
    await prepareLabSite(folder, example, false);
    expect((await stat(folder.key)).mode & 0o777).toBe(0o600);
    expect((await stat(folder.root)).mode & 0o777).toBe(0o700);
  });

  it('is made anew where nobody edited it, with the key it had', async () => {
    await prepareLabSite(folder, example, false);
    const before = await readFile(folder.key, 'utf8');
    expect(await prepareLabSite(folder, example, false)).toBe('copied');
    expect(await readFile(folder.key, 'utf8')).toBe(before);
  });

  it('is kept where somebody edited it, until a fresh one is asked for', async () => {
    await prepareLabSite(folder, example, false);
    const file = join(folder.site, 'nodes/web1.yaml');
    await appendFile(file, '# mine\n');
    expect(await prepareLabSite(folder, example, false)).toBe('kept');
    expect(await readFile(file, 'utf8')).toContain('# mine');
    expect(await prepareLabSite(folder, example, true)).toBe('copied');
    expect(await readFile(file, 'utf8')).not.toContain('# mine');
  });

  it('is not made of a folder without a site.yaml', async () => {
    await expect(prepareLabSite(folder, join(example, 'nodes'), false)).rejects.toMatchObject({
      code: 'invalid-site',
    });
  });

  it('that could not be made whole is not taken for one that somebody edited', async () => {
    const broken = join(folder.root, '../broken');
    await mkdir(broken);
    await writeFile(join(broken, 'site.yaml'), 'site: [lab\n');
    await expect(prepareLabSite(folder, broken, false)).rejects.toThrow();
    expect(await prepareLabSite(folder, example, false)).toBe('copied');
  });
});

describe('sockets', () => {
  it('a folder in which a guest could have none is refused, with how much is too much', async () => {
    const site = await loadSite(example);
    if (!site.ok) throw new Error(JSON.stringify(site.problems));
    const guests = planGuests(site.value, { spares: 1, memory: 1024 });
    const [name = ''] = guests.map((guest) => guest.name).sort((a, b) => b.length - a.length);
    const bytes = (root: string) => Buffer.byteLength(join(root, 'guests', name, 'console.sock'));
    const longest = `/x${'x'.repeat(107 - bytes('/x'))}`;
    expect(bytes(longest)).toBe(107);
    expect(() => requireSocketPaths(labFolder(longest), guests)).not.toThrow();
    expect(() => requireSocketPaths(labFolder(`${longest}yz`), guests)).toThrowError(
      expect.objectContaining({
        code: 'path-too-long',
        hint: 'choose a state folder whose path is shorter by 2: --state DIR',
      }),
    );
  });
});
