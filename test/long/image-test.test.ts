import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { ImageTests } from '../../src/images/image-tests.ts';
import { imageTest } from '../lab/harness/image-test.ts';

const sites = join(import.meta.dirname, '../lab/sites');
const { root, site, rolecall } = imageTest(join(sites, 'storage'), ({ site }) => {
  mkdirSync(join(site, 'users'));
  cpSync(join(sites, 'webs/users/lab.yaml'), join(site, 'users/lab.yaml'));
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
});
const image = 'universal@published';
const report = join(root, 'report');

it('a volume is made for its pair and its clients, roles share a machine, and the one that fails is named', async () => {
  const { stdout, stderr, exitCode } = await rolecall(
    ...['--json', 'image', 'test', image, '--report', report],
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
  expect(readFileSync(join(report, 'junit.xml'), 'utf8')).toMatch(
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
