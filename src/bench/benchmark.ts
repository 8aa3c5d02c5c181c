import type { Figure } from './figure.ts';

/** One subject measured beside its peers. */
export interface Benchmark {
  /** What is typed: `rolecall bench http`. */
  readonly name: string;
  /** One line for the list of benchmarks. */
  readonly about: string;
  /** Measures; `report` takes a line for each thing begun. Fails where a peer is not installed. */
  run(report: (line: string) => void): Promise<readonly Figure[]>;
}
