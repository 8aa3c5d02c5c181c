import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openImageStore, partsOf } from '../../src/images/image-store.ts';
import { type LockedPackage, parseLock } from '../../src/images/package-lock.ts';
import { runProgram } from '../../src/system/run-program.ts';
import {
  buildTiny,
  startTinyElsewhere,
  type TinyImage,
  watch,
  writeTinyImage,
} from './harness/tiny-image.ts';

const hostname = 'a-name-that-no-file-holds';
const image: TinyImage = { installation: 'a', packing: 'p', loaders: ['undionly.kpxe'] };
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'build-reproducible-'));
  await writeTinyImage(join(folder, 'site'), image);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The packages of a lock's groups. */
function parseLocked(text: string): (readonly LockedPackage[])[] {
  const parsed = parseLock(text, 'the lock');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.value.groups.map(({ packages }) => packages);
}

it('builds have one digest, whoever makes them, where and when', async () => {
  const here = { site: join(folder, 'site'), state: join(folder, 'state') };
  const there = { site: here.site, state: join(folder, 'another/longer/path') };
  const first = await buildTiny(here);
  expect(first, first.stderr).toMatchObject({ code: 0 });
  const lockFile = join(here.site, 'images/tiny.amd64.lock');
  const [before] = parseLocked(await readFile(lockFile, 'utf8'));
  // One package more, on top of what is there.
  await writeTinyImage(here.site, { ...image, packages: ['netbase'] });
  const added = await buildTiny(here);
  expect(added, added.stderr).toMatchObject({ code: 0 });
  expect(added.stderr).toMatch(/install \d+ packages of trixie amd64: unchanged/);
  expect(added.stderr).toMatch(/add netbase \(1 packages\): done/);
  const lock = await readFile(lockFile, 'utf8');
  const groups = parseLocked(lock);
  expect(groups[0]).toEqual(before);
  expect(groups[1]?.map(({ name }) => name)).toEqual(['netbase']);

  // From the lock alone, by somebody else, with nothing that the first one left.
  const packages = join('apt-cache', 'packages');
  await cp(join(here.state, packages), join(there.state, packages), { recursive: true });
  const second = await watch(startTinyElsewhere(there, hostname, ['--locked']), () => false);
  expect(second, second.stderr).toMatchObject({ code: 0 });
  expect(await readFile(lockFile, 'utf8')).toBe(lock);
  const [one, two] = await Promise.all(
    [here, there].map(({ state }) => openImageStore(state).resolve('tiny', 'amd64', 'built')),
  );
  // Part by part, so that a failure says which.
  expect(two && partsOf(two.manifest)).toEqual(one && partsOf(one.manifest));
  expect(two).toEqual(one);

  if (!two) throw new Error('nothing was published');
  const root = join(folder, 'root');
  for (const layer of two.manifest.root) {
    const squashfs = openImageStore(there.state).blobPath(layer.digest);
    await runProgram('unsquashfs', ['-d', root, squashfs]);
  }
  const leaks = ['--recursive', '--files-with-matches', '--text', '--devices=skip'];
  for (const word of [hostname, 'another/longer/path']) {
    const { stdout } = await runProgram('grep', [...leaks, '--fixed-strings', '-e', word, root], {
      accept: [1],
    });
    expect(stdout, `files that hold ${word}`).toBe('');
  }
  const apt = ['-e', '^deb ', '-e', '^URIs:', '-e', '^Acquire', join(root, 'etc/apt')];
  const { stdout } = await runProgram('grep', [...leaks, ...apt], { accept: [1] });
  expect(stdout, 'files that hold a mirror or the way to it').toBe('');
  expect(await readFile(join(root, 'etc/machine-id'), 'utf8')).toBe('uninitialized\n');
});
