import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import type { Digest } from '../../src/digest.ts';
import { openImageStore, partsOf } from '../../src/images/image-store.ts';
import { imageTest } from '../lab/harness/image-test.ts';
import { images, websSite } from '../lab/harness/lab-under-test.ts';
import { until } from '../lab/harness/processes.ts';

const { root, rolecall } = imageTest(websSite, ({ site }) => {
  appendFileSync(join(site, 'site.yaml'), 'images: {publish: tested}\n');
});

const state = join(root, 'state');
let image: Digest;
beforeAll(async () => {
  const [from, to] = [openImageStore(images), openImageStore(state)];
  const built = await from.resolve('universal', 'amd64', 'built');
  if (!built) throw new Error('no image is built');
  // The store is a link to the lab's own, from which nothing may be deleted.
  rmSync(join(state, 'images'), { recursive: true });
  for (const [, { digest }] of partsOf(built.manifest)) await to.addBlob(from.blobPath(digest));
  image = (await to.addImage(built.manifest)).digest;
  // Nodes were given another one since: no tag keeps the image that is tested.
  const { loaders: _loaders, ...newer } = built.manifest;
  await to.tag((await to.addImage({ ...newer, loaders: {} })).digest, 'published');
});

it('an image boots as a spare, a gc meanwhile leaves it, and what is noted is not enough to publish it', async () => {
  const report = join(root, 'report');
  const test = rolecall('--json', 'image', 'test', image, '--only', 'spare', '--report', report);
  const booting = join(state, 'lab/image-test/guests/spare-525400770099/console.log');
  await until('the machine boots', 60, () => existsSync(booting));
  const gc = await rolecall('image', 'gc', '--yes', '--past', '0');
  expect(gc.stdout, gc.stderr).toMatch(
    new RegExp(`universal .*${image.slice(0, 12)} .*stays: in use by another command`),
  );
  expect(gc.stdout).not.toContain('deleted');
  const { stdout, stderr, exitCode } = await test;
  expect(exitCode, stderr).toBe(0);
  const [{ results, tests }] = JSON.parse(stdout);
  expect(results.map((r: { title: string; outcome: string }) => [r.title, r.outcome])).toEqual([
    ['spare-525400770099 boots and is ready as base, spare', 'passed'],
    ['base works on spare-525400770099', 'passed'],
    ['spare works on spare-525400770099', 'passed'],
  ]);
  expect(Object.keys(tests.roles)).toEqual(['base', 'spare']);
  expect(readFileSync(join(report, 'junit.xml'), 'utf8')).toContain('tests="3" failures="0"');
  expect(readFileSync(join(report, 'report.html'), 'utf8')).toContain('3 passed, 0 failed');
  const console = readFileSync(join(report, 'consoles/spare-525400770099.log'), 'utf8');
  expect(console).toContain('boots as spare');
  expect(existsSync(join(state, 'lab/image-test'))).toBe(false);

  expect((await rolecall('image', 'ls')).stdout).toContain('base, spare');
  const refused = await rolecall('image', 'publish', image);
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain('never tested as web');

  const after = await rolecall('image', 'gc', '--yes', '--past', '0');
  expect(after.stdout, after.stderr).toContain('deleted 1 image');
  expect(await openImageStore(state).read(image)).toBeUndefined();
});
