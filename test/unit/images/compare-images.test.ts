import { describe, expect, test } from 'vitest';
import { comparePackages } from '../../../src/images/compare-images.ts';
import { compareDebianVersions } from '../../../src/images/debian-version.ts';

describe('the order of Debian versions, deb-version(7)', () => {
  test.each([
    ['1.0~~', '1.0~~a'],
    ['1.0~~a', '1.0~'],
    ['1.0~', '1.0'],
    ['1.0', '1.0a'],
    ['1.0a', '1.0+b1'],
    ['1.9', '1.10'],
    ['9.9-9', '1:0.1'],
    ['1.0-1', '1.0-1+deb13u1'],
    ['1.0-1~bpo13+1', '1.0-1'],
    ['1.0-2', '1.0-10'],
    ['1-2-3', '1-3-1'],
    ['0~20240101235959999998', '0~20240101235959999999'],
  ])('%s is older than %s', (older, newer) => {
    expect(compareDebianVersions(older, newer)).toBeLessThan(0);
    expect(compareDebianVersions(newer, older)).toBeGreaterThan(0);
  });

  test.each([
    ['1.0', '1.0-0'],
    ['0:1.0', '1.0'],
    ['1.01', '1.1'],
  ])('%s and %s are the same', (a, b) => {
    expect(compareDebianVersions(a, b)).toBe(0);
  });
});

test('packages that came, went, rose and fell, by name', () => {
  const from = { bash: '5.2-1', curl: '8.9-1', dash: '0.5-1', gone: '1', same: '1' };
  const to = { bash: '5.2-1+b1', curl: '8.10-1', dash: '0.4-9', came: '2', same: '1' };
  expect(comparePackages(from, to)).toEqual([
    { package: 'bash', change: 'upgraded', from: '5.2-1', to: '5.2-1+b1' },
    { package: 'came', change: 'added', from: null, to: '2' },
    { package: 'curl', change: 'upgraded', from: '8.9-1', to: '8.10-1' },
    { package: 'dash', change: 'downgraded', from: '0.5-1', to: '0.4-9' },
    { package: 'gone', change: 'removed', from: '1', to: null },
  ]);
});
