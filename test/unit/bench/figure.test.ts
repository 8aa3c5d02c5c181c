import { describe, expect, it } from 'vitest';
import { alone, compare } from '../../../src/bench/figure.ts';
import { median, percentile } from '../../../src/bench/median.ts';
import { needPeers } from '../../../src/bench/need-peers.ts';
import { processTree, processUsage } from '../../../src/bench/process-usage.ts';

const measured = { what: 'x', peerName: 'p', unit: 'u', bound: 'b' };

describe('a ratio', () => {
  it.each([
    ['twice the speed', 'more', 20, 10, 2],
    ['half the speed', 'more', 5, 10, 0.5],
    ['half the time', 'less', 5, 10, 2],
    ['twice the memory', 'less', 20, 10, 0.5],
    ['a peer that did nothing', 'more', 20, 0, 0],
  ] as const)('of %s', (_name, better, ours, peer, ratio) => {
    expect(compare({ ...measured, ours, peer }, better).ratio).toBe(ratio);
  });

  it('is 0 where nothing is compared', () => {
    expect(alone({ what: 'x', ours: 1, unit: 's', bound: '' })).toMatchObject({
      ratio: 0,
      peerName: '',
    });
  });
});

it('the median and percentiles are the nearest rank', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(percentile([5, 1, 4, 2, 3], 0.99)).toBe(5);
  expect(percentile([5, 1, 4, 2, 3], 0.5)).toBe(3);
  expect(percentile([], 0.5)).toBe(0);
});

it('a peer that is not installed is an error that names every package', async () => {
  const path = process.env.PATH;
  process.env.PATH = '/nowhere';
  try {
    await expect(needPeers('curl', 'kea-dhcp4', 'ip')).rejects.toMatchObject({
      code: 'peer-not-installed',
      hint: expect.stringContaining('curl'),
    });
  } finally {
    process.env.PATH = path;
  }
});

it('processor time and memory of a process are read', async () => {
  const { cpu, resident, peakResident } = await processUsage(process.pid);
  expect(cpu).toBeGreaterThan(0);
  expect(resident).toBeGreaterThan(10_000_000);
  expect(peakResident).toBeGreaterThanOrEqual(resident * 0.9);
  expect(await processTree(process.pid)).toContain(process.pid);
});
