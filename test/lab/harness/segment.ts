import { AppError } from '../../../src/errors.ts';
import { runProgram } from '../../../src/system/run-program.ts';

/** Network namespaces on one switch, each with its card `eth0`. */
export interface Segment {
  /** The command line that runs a program on one of the hosts. */
  on(host: string, program: string, args: readonly string[]): [string, readonly string[]];
  stop(): Promise<void>;
}

/** Makes a namespace for each host, with its address and prefix length, and a bridge between them. */
export async function startSegment(hosts: Readonly<Record<string, string>>): Promise<Segment> {
  const space = (host: string) => `rc-${host}-${process.pid}`;
  const ip = (...args: readonly string[]) => runProgram('ip', args);
  const stop = async () => {
    for (const host of [...Object.keys(hosts), 'switch']) {
      await runProgram('ip', ['netns', 'del', space(host)], { accept: [1] });
    }
  };
  try {
    const hub = space('switch');
    await ip('netns', 'add', hub);
    const bridge = ['type', 'bridge', 'stp_state', '0', 'forward_delay', '0'];
    await ip('-n', hub, 'link', 'add', 'br0', ...bridge);
    await ip('-n', hub, 'link', 'set', 'br0', 'up');
    for (const [host, address] of Object.entries(hosts)) {
      const name = space(host);
      await ip('netns', 'add', name);
      const peer = ['peer', 'name', host, 'netns', hub];
      await ip('-n', name, 'link', 'add', 'eth0', 'type', 'veth', ...peer);
      await ip('-n', hub, 'link', 'set', host, 'master', 'br0', 'up');
      await ip('-n', name, 'link', 'set', 'lo', 'up');
      await ip('-n', name, 'link', 'set', 'eth0', 'up');
      await ip('-n', name, 'address', 'add', address, 'dev', 'eth0');
    }
  } catch (error) {
    await stop().catch(() => {});
    throw new AppError(
      'no-network-namespaces',
      `this test needs network namespaces: ${error instanceof Error ? error.message : error}`,
      'run it as root, with the package iproute2, where the kernel has veth and bridge',
      { cause: error },
    );
  }
  return {
    on: (host, program, args) => ['ip', ['netns', 'exec', space(host), program, ...args]],
    stop,
  };
}
