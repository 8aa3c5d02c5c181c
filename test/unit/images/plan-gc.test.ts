import { expect, test } from 'vitest';
import type { Blob } from '../../../src/boot/image-manifest.ts';
import { digestOf } from '../../../src/digest.ts';
import type { ImageListing } from '../../../src/images/image-store.ts';
import { type GcFacts, planGc } from '../../../src/images/plan-gc.ts';

const blob = (text: string, size: number): Blob => ({ digest: digestOf(text), size });
const loader = blob('the loader of all', 100);

function image(n: number, tags: ImageListing['tags'] = []): ImageListing {
  return {
    digest: digestOf(`image ${n}`),
    tags,
    manifest: {
      ...{ format: 2, name: 'universal', architecture: 'amd64', suite: 'trixie' },
      ...{ kernelVersion: '6.12', packages: {}, units: {}, users: {}, groups: {} },
      kernel: blob(`kernel ${n}`, 10),
      initramfs: blob(`initramfs ${n}`, 20),
      root: [blob(`root ${n}`, 1000)],
      loaders: { a: loader, b: loader },
    },
  };
}

const images = [0, 1, 2, 3, 4, 5].map((n) =>
  image(n, n === 5 ? ['published'] : n === 0 ? ['built'] : []),
);
const digest = (n: number) => digestOf(`image ${n}`);
const facts: GcFacts = {
  images,
  published: [[digest(5), digest(4), digest(3), digest(2)]],
  held: [],
  inUse: new Set(),
  past: 2,
};
const whys = (plan: ReturnType<typeof planGc>) =>
  Object.fromEntries(plan.kept.map(({ image: { digest }, why }) => [digest, why]));

test('tags and the newest earlier publications stay, each with its reason', () => {
  const plan = planGc(facts);
  expect(whys(plan)).toEqual({
    [digest(0)]: 'built',
    [digest(5)]: 'published',
    [digest(4)]: 'published before',
    [digest(3)]: 'published before',
  });
  expect(plan.deleted.map((one) => one.digest)).toEqual([digest(1), digest(2)]);
  // What both share with images that stay is not freed.
  expect(plan.bytes).toBe(2 * 1030);
});

test('an image that a node runs or boots stays, however old', () => {
  const nodes = ['lb1', 'mail1', 'web1', 'web2', 'web3'];
  const plan = planGc({ ...facts, past: 0, held: [{ image: digest(1), nodes }] });
  expect(whys(plan)).toEqual({
    [digest(0)]: 'built',
    [digest(1)]: 'booted by lb1, mail1, web1 and 2 more',
    [digest(5)]: 'published',
  });
});

test('an image that another command uses stays', () => {
  const plan = planGc({ ...facts, past: 0, inUse: new Set([digest(2)]) });
  expect(whys(plan)).toMatchObject({ [digest(2)]: 'in use by another command' });
  expect(plan.deleted.map((one) => one.digest)).not.toContain(digest(2));
});

test('where all goes, what they share is freed once', () => {
  const plan = planGc({
    ...facts,
    images: [image(1), image(2)],
    published: [],
  });
  expect(plan.bytes).toBe(2 * 1030 + 100);
});
