import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openImageStore, partsOf } from '../../src/images/image-store.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { buildTiny, startTinyElsewhere, watch, writeTinyImage } from './harness/tiny-image.ts';

const hostname = 'a-name-that-no-file-holds';
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'build-reproducible-'));
  await writeTinyImage(join(folder, 'site'), {
    ...{ installation: 'a', packing: 'p', loaders: ['undionly.kpxe'] },
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('builds have one digest, whoever makes them, where and when', async () => {
  const here = { site: join(folder, 'site'), state: join(folder, 'state') };
  const there = { site: here.site, state: join(folder, 'another/longer/path') };
  const first = await buildTiny(here);
  expect(first, first.stderr).toMatchObject({ code: 0 });
  await cp(join(here.state, 'apt-cache'), join(there.state, 'apt-cache'), { recursive: true });
  const second = await watch(startTinyElsewhere(there, hostname), () => false);
  expect(second, second.stderr).toMatchObject({ code: 0 });
  const [one, two] = await Promise.all(
    [here, there].map(({ state }) => openImageStore(state).resolve('tiny', 'amd64')),
  );
  // Part by part, so that a failure says which.
  expect(two && partsOf(two.manifest)).toEqual(one && partsOf(one.manifest));
  expect(two).toEqual(one);

  if (!two) throw new Error('nothing was published');
  const root = join(folder, 'root');
  const squashfs = openImageStore(there.state).blobPath(two.manifest.root.digest);
  await runProgram('unsquashfs', ['-d', root, squashfs]);
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
