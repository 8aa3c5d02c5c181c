import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openImageStore } from '../../src/images/image-store.ts';
import type { ImageTests } from '../../src/images/image-tests.ts';
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
  cpSync(join(top, 'test/lab/sites/storage'), site, { recursive: true });
  mkdirSync(join(site, 'users'));
  cpSync(join(top, 'test/lab/sites/webs/users/lab.yaml'), join(site, 'users/lab.yaml'));
  writeFileSync(
    join(site, 'nodes/mail1.yaml'),
    'mac: 52:54:00:77:00:41\naddress: 10.77.0.41\nrole: mail\nparams: {mail: {memory: 48, domains: {depot.example: {users: users/lab.yaml}}}}\n',
  );
  // A role that never works.
  mkdirSync(join(site, 'roles/broken'), { recursive: true });
  writeFileSync(
    join(site, 'roles/broken/role.yaml'),
    'summary: never works\nlistens: []\nready: |\n  echo "it is broken by design"\n  exit 1\n',
  );
  writeFileSync(
    join(site, 'nodes/bad1.yaml'),
    'mac: 52:54:00:77:00:51\naddress: 10.77.0.51\nrole: broken\n',
  );
  writeFileSync(
    join(site, 'site.yaml'),
    `${readFileSync(join(site, 'site.yaml'), 'utf8')}images: {publish: tested}\n`,
  );
  const { image } = await ensureImage(images, site, () => {});
  const found = (await openImageStore(images).digests()).find((digest) => digest === image);
  if (!found) throw new Error('the image of the lab is not in the store');
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
const image = 'universal@published';
const report = () => join(root, 'report');

it('a volume is made for its pair and its clients, roles share a machine, and the one that fails is named', async () => {
  const { stdout, stderr, exitCode } = await rolecall(
    ...['--json', 'image', 'test', image, '--report', report()],
  );
  process.stderr.write(`lab: ${stderr}\n`);
  const [found] = JSON.parse(stdout) as { readonly tests: ImageTests }[];
  const outcomes = Object.entries(found?.tests.roles ?? {}).map(([role, { outcome }]) => [
    role,
    outcome,
  ]);
  expect(Object.fromEntries(outcomes)).toEqual({
    ...{ base: 'passed', mail: 'passed', storage: 'passed', web: 'passed' },
    broken: 'failed',
  });
  expect(exitCode).toBe(1);
  expect(stderr).toContain('broken failed: it is broken by design');
  expect(readFileSync(join(report(), 'junit.xml'), 'utf8')).toMatch(
    /<testcase [^>]*name="broken works on web1"[^>]*><failure message="it is broken by design"/,
  );
  const refused = await rolecall('image', 'publish', image);
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain('broken failed: it is broken by design');

  // The site without that role has an image that passed in all that it has.
  rmSync(join(site, 'nodes/bad1.yaml'));
  const published = await rolecall('image', 'publish', image);
  expect(published.stderr).toBe('');
  expect(published.exitCode).toBe(0);
});
