import { expect, it } from 'vitest';
import { createLastMachines } from '../../../src/state/last-machines.ts';

it.each([0, 1, 50, 99, 100, 101, 250])(
  'of %i and a hundred machines remembers the last hundred, and at most as many again',
  (before) => {
    const last = createLastMachines<number>(100);
    const all = before + 100;
    for (let n = 0; n < all; n += 1) last.set(`machine ${n}`, n);
    // The latest first: to be asked for counts as having asked.
    const latest = Array.from({ length: all }, (_, n) => all - 1 - n);
    const known = latest.filter((n) => last.get(`machine ${n}`) === n);
    expect(known.slice(0, 100)).toEqual(latest.slice(0, 100));
    expect(known.length).toBeLessThanOrEqual(200);
  },
);

it('keeps a machine that asks again and again while others come and go', () => {
  const last = createLastMachines<string>(10);
  last.set('steady', 'seen');
  for (let n = 0; n < 100; n += 1) {
    last.set(`machine ${n}`, '');
    expect(last.get('steady')).toBe('seen');
  }
});
