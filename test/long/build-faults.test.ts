import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Digest } from '../../src/digest.ts';
import type { StepKind } from '../../src/images/build-step.ts';
import { openImageStore, partsOf } from '../../src/images/image-store.ts';
import {
  type BuildPlace,
  buildTiny,
  buildTinyFor,
  startTiny,
  startTinyWithoutNetwork,
  type TinyImage,
  watch,
  writeTinyImage,
} from '../lab/harness/tiny-image.ts';
import { seededRandom } from '../seeded-random.ts';

const seed = 20_250_809;
let place: BuildPlace;
let published: Digest;
/** Duration of a build that packs the root anew, and of one that installs it anew. */
const duration = { packing: 0, installation: 0 };
let image: TinyImage = { installation: 'a0', packing: 'p0', loaders: ['undionly.kpxe'] };
let changes = 0;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'build-faults-'));
  place = { site: join(folder, 'site'), state: join(folder, 'state') };
  await writeTinyImage(place.site, image);
  const first = await buildTiny(place);
  expect(first.stderr + first.stdout).toContain('published');
  published = await publishedDigest();
  // Once more with nothing to download: what the next ones take.
  await change('installation');
  duration.installation = (await buildTiny(place)).milliseconds;
  await change('packing');
  duration.packing = (await buildTiny(place)).milliseconds;
});
afterAll(() => rm(join(place.state, '..'), { recursive: true, force: true }));

/** Edits the definition so that the next build has that work to do. */
async function change(what: keyof TinyImage): Promise<void> {
  changes += 1;
  image =
    what === 'loaders'
      ? {
          ...image,
          loaders: image.loaders.length > 1 ? ['undionly.kpxe'] : ['undionly.kpxe', 'snponly.efi'],
        }
      : { ...image, [what]: `${what.slice(0, 1)}${changes}` };
  await writeTinyImage(place.site, image);
}

/** Takes the output of a step out of the cache. */
async function forget(kind: StepKind): Promise<void> {
  const cache = join(place.state, 'build-cache/tiny-amd64');
  for (const name of await readdir(cache)) {
    if (name.startsWith(`${kind}-`)) await rm(join(cache, name), { recursive: true });
  }
}

async function publishedDigest(): Promise<Digest> {
  const found = await openImageStore(place.state).resolve('tiny', 'amd64');
  if (!found) throw new Error('no image is published');
  return found.digest;
}

/** After a kill: nodes boot what they booted before, and nothing of it is damaged. */
async function expectPublishedAsBefore(): Promise<void> {
  expect(await publishedDigest()).toBe(published);
  expect(await openImageStore(place.state).verify(published)).toEqual([]);
}

/** The next build succeeds, publishes nothing by itself, and leaves no rubbish of the killed one. */
async function expectNextBuildSucceeds(): Promise<void> {
  const next = await buildTiny(place);
  expect(next, next.stderr).toMatchObject({ code: 0 });
  await expectPublishedAsBefore();
  const store = openImageStore(place.state);
  const built = await store.resolve('tiny', 'amd64', 'built');
  expect(built && (await store.verify(built.digest))).toEqual([]);
  expect(await readdir(place.state)).not.toContain('build-work');
  expect(await readdir(join(place.state, 'images/incoming')).catch(() => [])).toEqual([]);
  const kept = await readdir(join(place.state, 'build-cache/tiny-amd64'));
  expect(kept.map((name) => name.split('-')[0]).sort()).toEqual([
    ...['assemble', 'bootstrap', 'facts', 'initramfs', 'kernel', 'loaders', 'squash'],
  ]);
  const named = new Set<string>();
  for (const { manifest } of await store.list()) {
    for (const [, blob] of partsOf(manifest)) named.add(blob.digest);
  }
  expect((await readdir(join(place.state, 'images/blobs'))).filter((d) => !named.has(d))).toEqual(
    [],
  );
}

describe('a build that is killed', () => {
  const steps: [number, StepKind, keyof TinyImage][] = [
    [1, 'bootstrap', 'installation'],
    [2, 'kernel', 'packing'],
    [3, 'squash', 'packing'],
    [4, 'facts', 'packing'],
    [5, 'initramfs', 'packing'],
    [6, 'loaders', 'loaders'],
    [7, 'assemble', 'packing'],
  ];
  it.each(steps)('in step %i, %s', async (index, kind, what) => {
    await change(what);
    // Its key follows the installation's, which takes long; without its output it runs, if it is read.
    if (kind === 'kernel') await forget(kind);
    const started = new RegExp(`^\\[${index}/7\\] [^\\n]*(?<!: unchanged)\\n`, 'm');
    const killed = await buildTiny(place, [], (stderr) => started.test(stderr));
    expect(killed.signal).toBe('SIGKILL');
    await expectPublishedAsBefore();
    await expectNextBuildSucceeds();
  });

  const random = seededRandom(seed);
  const moments = Array.from({ length: 10 }, (_, i) => ({
    what: i < 1 ? ('installation' as const) : ('packing' as const),
    part: Math.round(random() * 1000) / 1000,
  }));
  it.each(moments)(`at $part of a build of $what (seed ${seed})`, async ({ what, part }) => {
    await change(what);
    await buildTinyFor(place, part * duration[what]);
    await expectPublishedAsBefore();
    await expectNextBuildSucceeds();
  });

  it('holds the lock no longer; while it lives no other one starts', async () => {
    await change('packing');
    const running = startTiny(place, []);
    let other: Promise<{ code: number | null; stderr: string }> | undefined;
    const ended = watch(running, () => {
      other ??= buildTiny(place);
      return false;
    });
    expect(await ended).toMatchObject({ code: 0 });
    const refused = await other;
    expect(refused).toMatchObject({ code: 1 });
    expect(refused?.stderr).toContain('another build, import or gc is running');
    await expectNextBuildSucceeds();
  });
});

describe('a build', () => {
  it('of what is built asks no network and does nothing', async () => {
    const again = await watch(startTinyWithoutNetwork(place), () => false);
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.stdout).toContain('nothing changed');
  });

  it('that must look up a package and cannot says which mirror it asked', async () => {
    image = { ...image, packages: ['netbase'] };
    await writeTinyImage(place.site, image);
    const failed = await watch(startTinyWithoutNetwork(place), () => false);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(/no mirror gave the suite trixie:\n.*dists\/trixie\/InRelease/);
    expect(failed.stderr).toContain('--mirror URL');
    image = { ...image, packages: [] };
    await writeTinyImage(place.site, image);
    await expectNextBuildSucceeds();
  });

  it('heals what a disk lost', async () => {
    const store = openImageStore(place.state);
    const built = await store.resolve('tiny', 'amd64', 'built');
    if (!built) throw new Error('nothing is built');
    await rm(store.blobPath(built.manifest.kernel.digest));
    const healed = await buildTiny(place);
    expect(healed, healed.stderr).toMatchObject({ code: 0 });
    expect(await store.verify(built.digest)).toEqual([]);
  });

  it('that names a package which is not there says so, and what to correct', async () => {
    const file = join(place.site, 'images/tiny.yaml');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('kmod]', 'kmod, no-such-package]'));
    const failed = await buildTiny(place);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain('trixie has no package no-such-package');
    await writeFile(file, text);
    await expectNextBuildSucceeds();
  });
});
