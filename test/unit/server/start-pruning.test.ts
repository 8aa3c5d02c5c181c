import { expect, onTestFinished, test, vi } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import { startPruning } from '../../../src/server/start-pruning.ts';

test('a disk that refuses ends nothing: it is said, and tried again an hour later', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const keep = new Set([digestOf('overlay')]);
  const lines: string[] = [];
  const prune = vi.fn((_now: number, _keep?: ReadonlySet<string>) => {
    if (lines.length === 0) throw new Error('database or disk is full');
  });
  onTestFinished(
    startPruning(
      { prune },
      () => ({ overlays: () => keep }),
      (line) => lines.push(line),
    ),
  );
  vi.advanceTimersByTime(3_600_000);
  expect(lines).toEqual(['state: what is too old is not deleted: database or disk is full']);
  vi.advanceTimersByTime(3_600_000);
  expect(prune).toHaveBeenLastCalledWith(Date.now(), keep);
  expect(prune).toHaveBeenCalledTimes(2);
});
