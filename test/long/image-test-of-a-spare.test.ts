import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openImageStore } from '../../src/images/image-store.ts';
import { labFolder, prepareLabStateOf } from '../../src/lab/lab-folder.ts';
import { ensureImage } from '../../src/lab/lab-image.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { images } from '../lab/harness/lab-under-test.ts';
import { processesAbout, until } from '../lab/harness/processes.ts';

const top = resolve(import.meta.dirname, '../..');
let root = '';
let site = '';
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'rc-image-test-'));
  site = join(root, 'site');
  cpSync(join(top, 'test/lab/sites/webs'), site, { recursive: true });
  await appendFile(join(site, 'site.yaml'), 'images: {publish: tested}\n');
  const { image } = await ensureImage(images, site, () => {});
  const found = (await openImageStore(images).digests()).find((digest) => digest === image);
  if (!found) throw new Error('the image of the lab is not in the store');
  // A store with the lab's image, of which nothing is known yet.
  await prepareLabStateOf(labFolder(root), images, [found]);
});
afterAll(async () => {
  await until('nothing of the lab is left', 30, () => processesAbout(root).length === 0);
  rmSync(root, { recursive: true });
});

const rolecall = (...args: readonly string[]) =>
  runProgram(join(top, 'bin/rolecall'), ['--site', site, '--state', join(root, 'state'), ...args], {
    accept: [1, 2],
  });

it('an image boots as a spare and is noted as tested so far: not enough to publish it', async () => {
  const report = join(root, 'report');
  const words = ['image', 'test', 'universal@published', '--only', 'spare', '--report', report];
  const { stdout, stderr, exitCode } = await rolecall('--json', ...words);
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
  expect(existsSync(join(root, 'state/lab/image-test'))).toBe(false);

  expect((await rolecall('image', 'ls')).stdout).toContain('base, spare');
  const refused = await rolecall('image', 'publish', 'universal@published');
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain('never tested as web');
});
