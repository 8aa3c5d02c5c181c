import { readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import { type ProgramResult, type RunOptions, runProgram } from '../system/run-program.ts';
import { startProgram } from '../system/start-program.ts';
import type { LabNetwork } from './network.ts';

/** A machine of the lab that is no guest: a network namespace with one card, `eth0`. */
export interface ClientHost {
  readonly name: string;
  readonly address: string;
  /** A command as it must be run to be that machine. */
  inside(program: string, args: readonly string[]): readonly [string, readonly string[]];
  /** Runs a program there to its end, as root. */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<ProgramResult>;
  /** Takes the machine away. */
  stop(): Promise<void>;
}

export interface ClientHostSetting {
  readonly network: LabNetwork;
  readonly name: string;
  /** Name of the bridge that it is plugged into. */
  readonly bridge: string;
  /** Name of the cable's end at the bridge, at most 15 characters. */
  readonly port: string;
  readonly address: string;
  readonly prefix: number;
  /** Where its default route leads; none where absent. */
  readonly gateway?: string;
  /** Takes what its holder says. */
  readonly log: string;
}

/**
 * Plugs a client machine into a bridge of the lab. Like the lab's own network it has no name, only a
 * process that holds its namespace: the cable goes with the namespace, and that with the process.
 */
export async function startClientHost(setting: ClientHostSetting): Promise<ClientHost> {
  const { network, name, port, address } = setting;
  const holder = await startProgram('unshare', ['--net', 'sleep', 'infinity'], {
    log: setting.log,
  });
  const inside = (program: string, args: readonly string[]) =>
    ['nsenter', [`--net=/proc/${holder.pid}/ns/net`, program, ...args]] as const;
  try {
    await untilApart(holder.pid, name);
    const cable = [
      `link add ${port} type veth peer name eth0 netns ${holder.pid}`,
      `link set ${port} master ${setting.bridge} up`,
    ];
    await runProgram(...network.inside('ip', ['-batch', '-']), { input: `${cable.join('\n')}\n` });
    const card = [
      'link set lo up',
      `address add ${address}/${setting.prefix} dev eth0`,
      'link set eth0 up',
      ...(setting.gateway === undefined ? [] : [`route add default via ${setting.gateway}`]),
    ];
    await runProgram(...inside('ip', ['-batch', '-']), { input: `${card.join('\n')}\n` });
  } catch (error) {
    await holder.stop(0);
    throw error;
  }
  return {
    name,
    address,
    inside,
    run: (program, args, options) => runProgram(...inside(program, args), options),
    stop: async () => {
      await holder.stop(0);
    },
  };
}

/** The holder is still in our own network until unshare(1) has come to its system call. */
async function untilApart(pid: number, name: string): Promise<void> {
  const own = await readlink('/proc/self/ns/net');
  for (let tries = 0; tries < 200; tries += 1) {
    const its = await readlink(`/proc/${pid}/ns/net`).catch(() => own);
    if (its !== own) return;
    await sleep(25);
  }
  throw new AppError(
    'lab-network',
    `no network namespace for the client ${name}`,
    'run as root: making a namespace needs CAP_SYS_ADMIN',
  );
}
