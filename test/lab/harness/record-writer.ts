import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Scenario } from '../../../src/lab/scenario.ts';
import { longestGap, startRecordWriter } from '../../../src/rehearsal/record-writer.ts';
import { until } from './processes.ts';

/** A program on a node that appends numbered records to a file, each with fsync(2), and notes when each was. */
export interface RecordWriter {
  /** Resolves when records are acknowledged that were not before this was called. */
  goesOn(): Promise<void>;
  /** Ends it, and fails where an acknowledged record is not in the file. */
  stop(): Promise<{
    readonly acknowledged: number;
    /** The longest time between two records, in seconds. */
    readonly gap: number;
  }>;
}

/** Starts the writer on a node; it has written when this resolves. */
export async function startWriter(
  lab: Scenario,
  node: string,
  file: string,
): Promise<RecordWriter> {
  const writer = await startRecordWriter(lab, node, 'test', file);
  return {
    async goesOn() {
      const before = (await writer.times()).length;
      // Some may have been under way.
      await until('the writer goes on', 240, async () => {
        // A login costs the client what it would need to come back.
        await sleep(1000);
        return (await writer.times()).length > before + 10;
      });
    },
    async stop() {
      const { times, lost } = await writer.stop();
      expect(lost, 'acknowledged records that are not in the file').toEqual([]);
      const gap = longestGap(times, times[0] ?? 0, times.at(-1) ?? 0);
      return { acknowledged: times.length, gap: Math.round(gap / 100) / 10 };
    },
  };
}
