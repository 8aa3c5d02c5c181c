import type { Benchmark } from './benchmark.ts';
import { boot } from './boot.ts';
import { build } from './build.ts';
import { dhcp } from './dhcp.ts';
import { http } from './http.ts';
import { storm } from './storm.ts';
import { tftp } from './tftp.ts';

/** Every benchmark, in the order in which `rolecall bench` runs them. */
export const benchmarks: readonly Benchmark[] = [dhcp, http, tftp, storm, build, boot];
