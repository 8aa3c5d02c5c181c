import { AppError } from '../../src/errors.ts';
import { runProgram } from '../../src/system/run-program.ts';

/** Two network namespaces joined by a cable: `eth0` in each. */
export interface NetworkPair {
  /** The command line that runs a program on the server's side. */
  onServer(program: string, args: readonly string[]): readonly [string, readonly string[]];
  onClient(program: string, args: readonly string[]): readonly [string, readonly string[]];
  /** Gives the client's card another hardware address and takes its addresses away. */
  becomeMachine(mac: string): Promise<void>;
  stop(): Promise<void>;
}

/** Makes both namespaces; the server's side has `serverAddress`, with its prefix length. */
export async function startNetworkPair(serverAddress: string): Promise<NetworkPair> {
  const [server, client] = [`rc-s-${process.pid}`, `rc-c-${process.pid}`] as const;
  const ip = (...args: readonly string[]) => runProgram('ip', args);
  const inside =
    (name: string) =>
    (program: string, args: readonly string[]): [string, readonly string[]] => [
      'ip',
      ['netns', 'exec', name, program, ...args],
    ];
  const stop = async () => {
    for (const name of [server, client]) {
      await runProgram('ip', ['netns', 'del', name], { accept: [1] });
    }
  };
  try {
    await ip('netns', 'add', server);
    await ip('netns', 'add', client);
    await ip(
      '-n',
      server,
      'link',
      'add',
      'eth0',
      'type',
      'veth',
      'peer',
      'name',
      'eth0',
      'netns',
      client,
    );
    for (const name of [server, client]) {
      await ip('-n', name, 'link', 'set', 'lo', 'up');
      await ip('-n', name, 'link', 'set', 'eth0', 'up');
    }
    await ip('-n', server, 'address', 'add', serverAddress, 'dev', 'eth0');
  } catch (error) {
    await stop().catch(() => {});
    throw new AppError(
      'no-network-namespaces',
      `this test needs network namespaces: ${error instanceof Error ? error.message : error}`,
      'run it as root, with the package iproute2, where the kernel has veth',
      { cause: error },
    );
  }
  return {
    onServer: inside(server),
    onClient: inside(client),
    async becomeMachine(mac) {
      await ip('-n', client, 'address', 'flush', 'dev', 'eth0');
      await ip('-n', client, 'link', 'set', 'eth0', 'down');
      await ip('-n', client, 'link', 'set', 'eth0', 'address', mac, 'up');
    },
    stop,
  };
}
