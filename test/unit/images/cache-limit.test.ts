import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type CacheEntry,
  limitCache,
  markUsed,
  parseSize,
  planEviction,
} from '../../../src/images/cache-limit.ts';

const entry = (path: string, bytes: number, used: number, needed = false): CacheEntry => ({
  ...{ path, bytes, used, needed },
});

describe('a cache with a limit', () => {
  const entries = [entry('new', 30, 9), entry('old', 50, 1), entry('needed', 90, 0, true)];
  const cases: [number, string[]][] = [
    [170, []],
    [169, ['old']],
    [120, ['old']],
    [119, ['old', 'new']],
    [1, ['old', 'new']],
  ];
  it.each(cases)('of %i bytes', (limit, gone) => {
    expect(planEviction(entries, limit).map(({ path }) => path)).toEqual(gone);
  });
});

describe('on a disk', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cache-limit-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('what was used longest ago goes, whole; what is needed counts as used now', async () => {
    const place = (name: string) => join(folder, name);
    for (const name of ['packages', 'outputs', 'outputs/a', 'outputs/b']) await mkdir(place(name));
    const files = ['packages/1', 'packages/2', 'outputs/a/x', 'outputs/b/x'];
    for (const file of files) await writeFile(place(file), '0123456789');
    const ages = ['packages/1', 'outputs/a', 'packages/2', 'outputs/b'];
    for (const [age, name] of ages.entries()) await utimes(place(name), 1000 + age, 1000 + age);
    const left = async () =>
      Promise.all([readdir(place('packages')), readdir(place('outputs'))]).then((all) =>
        all.flat(),
      );

    const folders = [place('packages'), place('outputs'), place('nowhere')];
    const used = new Set([place('packages/1'), place('gone')]);
    await markUsed(used, Date.now());
    await limitCache(folders, used, 30);
    expect(await left()).toEqual(['1', '2', 'b']);
    // Once the build that needed it is over, it is the one that was used last.
    await limitCache(folders, new Set(), 10);
    expect(await left()).toEqual(['1']);
  });
});

describe('a size', () => {
  const sizes: [string, number | undefined][] = [
    ['4G', 4 * 1024 ** 3],
    ['500m', 500 * 1024 ** 2],
    ['7', 7],
    ['1T', 1024 ** 4],
    ['', undefined],
    ['0', undefined],
    ['4GB', undefined],
    ['-1', undefined],
    ['1.5G', undefined],
  ];
  it.each(sizes)('%s', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });
});
