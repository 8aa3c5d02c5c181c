import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import {
  type ImageTests,
  judgeTests,
  mergeTests,
  parseImageTests,
  type RoleVerdict,
} from '../../../src/images/image-tests.ts';
import { describeUntested } from '../../../src/images/judge-image.ts';

const old = '2026-01-02T03:04:05.000Z';
const recent = '2026-01-03T03:04:05.000Z';
const verdict = (outcome: RoleVerdict['outcome'], at = old, detail = ''): RoleVerdict => ({
  ...{ outcome, at, detail },
  role: digestOf('as it was'),
});
const testsOf = (roles: ImageTests['roles']): ImageTests => ({ format: 1, site: 'tokyo', roles });
const wanted = (...names: string[]) =>
  names.map((name) => ({ name, digest: digestOf('as it was') }));

describe('an image is tested', () => {
  it('where every role that the site has passed', () => {
    const tests = testsOf({ web: verdict('passed'), base: verdict('passed') });
    expect(judgeTests(tests, wanted('base', 'web')).tested).toBe(true);
    expect(judgeTests(tests, wanted('web')).tested).toBe(true);
  });

  it('not where a role failed, could not be tried, or came to the site later', () => {
    const tests = testsOf({
      lb: verdict('not tried', old, 'no memory'),
      mail: verdict('failed', old, 'no answer'),
      web: verdict('passed'),
    });
    const judgement = judgeTests(tests, wanted('lb', 'logs', 'mail', 'web'));
    expect(judgement.tested).toBe(false);
    expect(describeUntested(judgement)).toBe(
      'lb not tried: no memory; mail failed: no answer; never tested as logs',
    );
    expect(describeUntested(judgeTests(undefined, wanted('web')))).toBe('never tested as web');
  });

  it('also where a role was edited since, and that is said', () => {
    const judgement = judgeTests(testsOf({ web: verdict('passed') }), [
      { name: 'web', digest: digestOf('as it is') },
    ]);
    expect(judgement).toMatchObject({ tested: true, changed: ['web'] });
  });
});

it('of two tests the newer word on each role counts', () => {
  const before = testsOf({ mail: verdict('passed', recent), web: verdict('passed') });
  const after = testsOf({ mail: verdict('failed'), web: verdict('failed', recent) });
  const merged = mergeTests(before, after);
  expect(Object.entries(merged.roles).map(([role, { outcome }]) => [role, outcome])).toEqual([
    ['mail', 'passed'],
    ['web', 'failed'],
  ]);
});

it('what is no note on tests is none', () => {
  expect(parseImageTests(testsOf({ web: verdict('passed') }))).toBeDefined();
  for (const value of [
    undefined,
    {},
    { ...testsOf({}), format: 2 },
    testsOf({ web: { ...verdict('passed'), at: 'today' } }),
    testsOf({ web: { ...verdict('passed'), role: 'x' as never } }),
  ]) {
    expect(parseImageTests(value)).toBeUndefined();
  }
});
