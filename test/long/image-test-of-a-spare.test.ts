import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { imageTest } from '../lab/harness/image-test.ts';
import { websSite } from '../lab/harness/lab-under-test.ts';

const { root, rolecall } = imageTest(websSite, ({ site }) => {
  appendFileSync(join(site, 'site.yaml'), 'images: {publish: tested}\n');
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
