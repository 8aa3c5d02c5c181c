import { describe, expect, it } from 'vitest';
import { nodeLane, targetLane } from '../../../src/rehearsal/lanes.ts';
import { isSteady, measureOutage, type Sample } from '../../../src/rehearsal/outages.ts';
import type { Event } from '../../../src/state/event.ts';
import { mac } from '../lab/a-site.ts';

/** Asked every 100 ms from 0 on; `problem` gives each question's problem. */
function asked(count: number, problem: (at: number) => string, took = 5): readonly Sample[] {
  return Array.from({ length: count }, (_, i) => ({
    target: 0,
    at: i * 100,
    took,
    problem: problem(i * 100),
  }));
}

describe('what a client notices', () => {
  it('is nothing but the time between questions where all are answered', () => {
    const outage = measureOutage(
      asked(50, () => ''),
      0,
      5_000,
    );
    expect(outage).toEqual({ longest: 100, asked: 50, inVain: 0, problem: '' });
  });

  it('is the time from the last answer to the next', () => {
    const samples = asked(100, (at) => (at >= 2_000 && at < 5_000 ? 'ECONNREFUSED' : ''));
    const outage = measureOutage(samples, 0, 10_000);
    expect(outage).toEqual({ longest: 3_100, asked: 100, inVain: 30, problem: 'ECONNREFUSED' });
  });

  it('counts answers that came late as time without one', () => {
    const samples = asked(20, () => '').map((s) => (s.at < 1_000 ? s : { ...s, took: 3_000 }));
    expect(measureOutage(samples, 0, 6_000).longest).toBe(3_095);
  });

  it('is all the time where nothing was ever answered', () => {
    const samples = asked(20, () => 'no answer in 2 s', 2_000);
    expect(measureOutage(samples, 0, 4_000).longest).toBe(4_000);
    expect(isSteady(samples, 0)).toBe(false);
  });

  it('is steady only where somebody asked and all was answered', () => {
    expect(isSteady([], 0)).toBe(false);
    const samples = asked(20, (at) => (at < 500 ? 'ECONNRESET' : ''));
    expect(isSteady(samples, 0)).toBe(false);
    expect(isSteady(samples, 600)).toBe(true);
  });
});

describe('lanes of the timeline', () => {
  it('show when an address answered, and nothing where nobody asked', () => {
    const early = asked(30, (at) => (at >= 1_000 && at < 2_000 ? 'ECONNREFUSED' : ''));
    const late = asked(5, () => '').map((s) => ({ ...s, at: s.at + 60_000 }));
    expect(targetLane('www', [...early, ...late]).spans).toEqual([
      { from: 0, to: 1_000, state: 'answers' },
      { from: 1_000, to: 2_000, state: 'no answer' },
      { from: 2_000, to: 2_900, state: 'answers' },
      { from: 60_000, to: 60_400, state: 'answers' },
    ]);
  });

  it('show the stages of a node and when it had no power, whatever was still on its way', () => {
    const event = (at: number, stage: 'kernel' | 'ready' | 'alive') =>
      ({
        ...{ at, machine: mac('52:54:00:77:00:11'), node: 'web1' },
        ...{ kind: 'stage', bootId: 'b', stage, reason: '', uptime: 1 },
      }) satisfies Event;
    const power = [
      { at: 0, power: 'on' },
      { at: 100, power: 'off' },
      { at: 200, power: 'on' },
    ] as const;
    const events = [event(10, 'kernel'), event(50, 'ready'), event(90, 'alive')];
    expect(
      nodeLane('web1', [...events, event(150, 'ready'), event(250, 'ready')], power, 300),
    ).toEqual({
      name: 'web1',
      spans: [
        { from: 0, to: 10, state: 'absent' },
        { from: 10, to: 50, state: 'kernel' },
        { from: 50, to: 100, state: 'ready' },
        { from: 100, to: 200, state: 'off' },
        { from: 200, to: 250, state: 'absent' },
        { from: 250, to: 300, state: 'ready' },
      ],
    });
  });
});
