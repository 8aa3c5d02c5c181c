import { availableParallelism } from 'node:os';
import { AppError } from '../errors.ts';
import { runProgram } from '../system/run-program.ts';

/** Two network namespaces joined by one cable: nothing measured here touches the machine's own network. */
export interface Cable {
  readonly server: string;
  readonly client: string;
  /** The command line that runs a program at that end. */
  at(end: 'server' | 'client', program: string, args: readonly string[]): [string, string[]];
  cut(): Promise<void>;
}

export interface CableOptions {
  /** Addresses of `eth0` at both ends, with prefix lengths. */
  readonly server: string;
  readonly client: string;
  /**
   * The client's end has the last processor for itself, the server's end the others. Where a packet is answered by
   * a packet, Linux else may let both take turns on one processor, where waking up costs next to nothing: two
   * machines have no such turn.
   */
  readonly apart?: boolean;
}

/** Lays the cable. Needs root. */
export async function layCable(options: CableOptions): Promise<Cable> {
  const names = { server: `rc-bs-${process.pid}`, client: `rc-bc-${process.pid}` };
  const ip = (line: string) => runProgram('ip', line.split(' '));
  const cut = async () => {
    for (const name of Object.values(names)) {
      await runProgram('ip', ['netns', 'del', name], { accept: [1] });
    }
  };
  try {
    await ip(`netns add ${names.server}`);
    await ip(`netns add ${names.client}`);
    await ip(`-n ${names.server} link add eth0 type veth peer name eth0 netns ${names.client}`);
    for (const end of ['server', 'client'] as const) {
      await ip(`-n ${names[end]} link set lo up`);
      await ip(`-n ${names[end]} address add ${options[end]} dev eth0`);
      await ip(`-n ${names[end]} link set eth0 up`);
    }
  } catch (error) {
    await cut().catch(() => {});
    throw new AppError(
      'no-network-namespaces',
      `benchmarks run in network namespaces: ${error instanceof Error ? error.message : error}`,
      'run as root: sudo npm run bench',
      { cause: error },
    );
  }
  return {
    ...names,
    at: (end, program, args) => {
      const own = options.apart ? pinned(end) : [];
      return ['ip', ['netns', 'exec', names[end], ...own, program, ...args]];
    },
    cut,
  };
}

function pinned(end: 'server' | 'client'): string[] {
  const last = availableParallelism() - 1;
  if (last === 0) return [];
  return ['taskset', '--cpu-list', end === 'client' ? `${last}` : `0-${last - 1}`];
}
