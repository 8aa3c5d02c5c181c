import { describe, expect, it } from 'vitest';
import { recordLane } from '../../../src/rehearsal/lanes.ts';
import { longestGap } from '../../../src/rehearsal/record-writer.ts';

/** A record every 50 ms from `from` to `to`. */
const written = (from: number, to: number) =>
  Array.from({ length: (to - from) / 50 }, (_, i) => from + i * 50);

describe('records that were acknowledged', () => {
  const times = [...written(0, 3_000), ...written(14_000, 20_000), ...written(500_000, 501_000)];

  it('have between two moments a longest gap, at their ends too', () => {
    expect(longestGap(times, 1_000, 20_000)).toBe(11_050);
    expect(longestGap(times, 15_000, 19_000)).toBe(50);
    expect(longestGap(times, 15_000, 25_000)).toBe(5_050);
    expect(longestGap([], 0, 7_000)).toBe(7_000);
  });

  it('are a lane: writes, none for a while, writes; and nothing where nobody wrote', () => {
    expect(recordLane('volume www', times)).toEqual({
      name: 'volume www',
      spans: [
        { from: 0, to: 2_950, state: 'answers' },
        { from: 2_950, to: 14_000, state: 'no answer' },
        { from: 14_000, to: 19_950, state: 'answers' },
        { from: 500_000, to: 500_950, state: 'answers' },
      ],
    });
  });
});
