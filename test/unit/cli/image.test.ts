import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { register } from '../../../src/cli/image.ts';
import type { Digest } from '../../../src/digest.ts';
import { openImageStore } from '../../../src/images/image-store.ts';
import type { ImageFacts } from '../../../src/roles/image-facts.ts';
import { runCommands } from './run-rolecall.ts';

const golden = join(import.meta.dirname, '../../golden/overlay');
const facts = JSON.parse(await readFile(join(golden, 'facts.json'), 'utf8')) as ImageFacts;

let state: string;
let digest: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'rolecall-image-'));
  const store = openImageStore(state);
  await writeFile(join(state, 'part'), 'a few bytes');
  const blob = await store.addBlob(join(state, 'part'));
  const image = await store.addImage({
    format: 1,
    name: 'universal',
    architecture: 'amd64',
    suite: 'trixie',
    kernelVersion: '6.12',
    ...{ kernel: blob, initramfs: blob, root: blob, loaders: {} },
    ...facts,
  });
  digest = image.digest;
});
afterEach(() => rm(state, { recursive: true }));

const run = (...args: string[]) => runCommands([register], '', args, state);

test('the first digits of a digest, at least four, name an image', async () => {
  expect(await run('image', 'publish', digest.slice(0, 4))).toMatchObject({ code: 0, err: '' });
  expect((await openImageStore(state).resolve('universal', 'amd64'))?.digest).toBe(digest);
});

test('no digit, as an unset variable of a script gives, publishes nothing', async () => {
  for (const word of ['', digest.slice(0, 3)]) {
    const { out, err, code } = await run('image', 'publish', word);
    expect(err).toContain('four digits');
    expect({ out, code }).toEqual({ out: '', code: 2 });
  }
  expect(await openImageStore(state).resolve('universal', 'amd64')).toBeUndefined();
});

test('an image that is not there', async () => {
  const { err, code } = await run('image', 'show', 'univresal');
  expect(err).toContain('no image univresal in the store');
  expect(code).toBe(1);
});

test('two images compared: packages by name, and sizes', async () => {
  const store = openImageStore(state);
  const before = await store.read(digest as Digest);
  if (!before) throw new Error('the image is gone');
  await writeFile(join(state, 'part'), 'a few bytes more');
  const root = await store.addBlob(join(state, 'part'));
  const packages = { ...before.manifest.packages, 'added-one': '1:2.0-1' };
  const after = await store.addImage({ ...before.manifest, root, packages });
  const { out, code } = await run('image', 'diff', digest.slice(0, 8), after.digest.slice(0, 8));
  expect(code).toBe(0);
  expect(out).toMatch(/^added-one +added +- +1:2\.0-1$/m);
  expect(out).toMatch(/^root .* 5$/m);
  const json = await run('--json', 'image', 'diff', after.digest, digest);
  expect(JSON.parse(json.out)).toMatchObject([
    {
      ...{ from: after.digest, to: digest },
      packages: [{ package: 'added-one', change: 'removed', from: '1:2.0-1', to: null }],
      sizes: [{ part: 'kernel' }, { part: 'initramfs' }, { part: 'root', from: 16, to: 11 }],
    },
  ]);
});
