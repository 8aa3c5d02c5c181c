import { AppError } from '../../src/errors.ts';
import { type ProgramResult, type RunOptions, runProgram } from '../../src/system/run-program.ts';
import { type FollowedProgram, followProgram } from './followed-program.ts';

/** A network namespace: a host of its own as far as cards, addresses and routes go. */
export interface Namespace {
  readonly name: string;
  /** Runs a program on this host to its end. */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<ProgramResult>;
  /** Starts a program on this host, which is ended with the host at the latest. */
  start(program: string, args: readonly string[]): FollowedProgram;
  /** `ip ARGS`, word by word, on this host. */
  ip(line: string): Promise<ProgramResult>;
  /** Its card on the segment, for its own hardware address and without any IP address. */
  becomeMachine(mac: string): Promise<void>;
  remove(): Promise<void>;
}

let made = 0;

/** Makes a host with its loopback interface up; needs root. */
export async function createNamespace(what: string): Promise<Namespace> {
  made += 1;
  const name = `rc-${process.pid}-${made}-${what}`;
  const started: FollowedProgram[] = [];
  const inside = (program: string, args: readonly string[]) => [
    'netns',
    'exec',
    name,
    program,
    ...args,
  ];
  const ip = (line: string) => runProgram('ip', ['-n', name, ...line.split(' ')]);
  try {
    await runProgram('ip', ['netns', 'add', name]);
    await ip('link set lo up');
  } catch (error) {
    throw new AppError(
      'no-network-namespaces',
      `this test needs network namespaces: ${error instanceof Error ? error.message : error}`,
      'run it as root, with the package iproute2, where the kernel has veth',
      { cause: error },
    );
  }
  return {
    name,
    ip,
    run: (program, args, options) => runProgram('ip', inside(program, args), options),
    start(program, args) {
      const child = followProgram('ip', inside(program, args));
      started.push(child);
      return child;
    },
    async becomeMachine(mac) {
      await ip('address flush dev eth0');
      await ip('link set eth0 down');
      await ip(`link set eth0 address ${mac} up`);
    },
    async remove() {
      await Promise.all(started.map((child) => child.stop('SIGKILL')));
      await runProgram('ip', ['netns', 'del', name]);
    },
  };
}

/** A cable from the card `eth0` of a new host to a port of the switch `switchName` of another. */
export async function plugInto(
  host: Namespace,
  at: Namespace,
  switchName: string,
  port: string,
): Promise<void> {
  await at.ip(`link add ${port} type veth peer name eth0 netns ${host.name}`);
  await at.ip(`link set ${port} master ${switchName} up`);
  await host.ip('link set eth0 up');
}

/** A switch that forwards at once: no spanning tree, no snooping. */
export async function createSwitch(at: Namespace, name: string): Promise<void> {
  // Of its own, or it changes with each cable, and who knows the old one is lost for a while.
  const address = `address 02:72:73:00:00:${(made % 256).toString(16).padStart(2, '0')}`;
  await at.ip(
    `link add ${name} ${address} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
  );
  await at.ip(`link set ${name} up`);
}
