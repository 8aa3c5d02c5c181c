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

/** Lays the cable; `eth0` at both ends, with those addresses and prefix lengths. Needs root. */
export async function layCable(addresses: {
  readonly server: string;
  readonly client: string;
}): Promise<Cable> {
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
      await ip(`-n ${names[end]} address add ${addresses[end]} dev eth0`);
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
    at: (end, program, args) => ['ip', ['netns', 'exec', names[end], program, ...args]],
    cut,
  };
}
