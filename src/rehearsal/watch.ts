import { readFile } from 'node:fs/promises';
import type { ClientHost } from '../lab/client-host.ts';
import { startProgram } from '../system/start-program.ts';
import type { Sample } from './outages.ts';
import type { Pace } from './pace.ts';
import type { Target } from './plan-rehearsal.ts';

/** A client that asks ten times a second, and who is slow less often. */
export interface Watch {
  readonly targets: readonly Target[];
  /** All that it has asked so far, by target. */
  samples(): Promise<ReadonlyMap<Target, readonly Sample[]>>;
  stop(): Promise<void>;
}

/** Starts a client on a machine of the lab; its answers go into `file`, a line each. */
export async function startWatch(
  host: Pick<ClientHost, 'inside'>,
  targets: readonly Target[],
  pace: Pace,
  file: string,
): Promise<Watch> {
  const program = new URL('./watch-process.ts', import.meta.url).pathname;
  const told = [JSON.stringify(targets), JSON.stringify(pace)];
  const options = ['--disable-warning=ExperimentalWarning', program, ...told];
  const process_ = await startProgram(...host.inside(process.execPath, options), { log: file });
  return {
    targets,
    samples: async () => {
      const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1);
      const all = lines.flatMap((line) =>
        line.startsWith('{') ? [JSON.parse(line) as Sample] : [],
      );
      return new Map(targets.map((t, i) => [t, all.filter((sample) => sample.target === i)]));
    },
    stop: async () => {
      await process_.stop(1_000);
    },
  };
}
