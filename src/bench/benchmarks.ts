import type { Benchmark } from './benchmark.ts';
import { http } from './http.ts';

/** Every benchmark, in the order in which `rolecall bench` runs them. */
export const benchmarks: readonly Benchmark[] = [http];
