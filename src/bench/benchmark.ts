import type { Figure } from './figure.ts';

/** One subject measured beside its peers. */
export interface Benchmark {
  /** What is typed: `rolecall bench http`. */
  readonly name: string;
  /** One line for the list of benchmarks. */
  readonly about: string;
  /** Measures; `report` takes a line for each thing begun. Fails where a peer is not installed. */
  run(report: (line: string) => void, place: BenchPlace): Promise<readonly Figure[]>;
}

export interface BenchPlace {
  /** State folder; the lab's image is built below it, and kept. */
  readonly state: string;
  /** Folder that takes pictures; none are drawn where absent. */
  readonly pictures?: string;
  /** How often what takes long is done; as the benchmark sees fit where absent. */
  readonly rounds?: number;
}
