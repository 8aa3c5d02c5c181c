import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import { runProgram } from '../system/run-program.ts';
import { requireSocketPath } from '../system/socket-path.ts';
import { type RunningProgram, startProgram } from '../system/start-program.ts';
import { type NetworkPlan, renderIpBatch } from './network-plan.ts';

/** The lab's private network, alive. */
export interface LabNetwork {
  /** Process that holds the namespace: `nsenter --net=/proc/<pid>/ns/net`. */
  readonly pid: number;
  /** Unix socket of the relay into the namespace. */
  readonly relaySocket: string;
  /** A command as it must be run to see this network. */
  inside(program: string, args: readonly string[]): readonly [string, readonly string[]];
  stop(): Promise<void>;
}

/**
 * Makes a network namespace with the plan's bridges and taps. It has no name, only a process that
 * holds it: when that process ends, the kernel takes the bridges, taps and addresses away with it,
 * and the holder cannot outlive us. There is nothing that a crash could leave behind.
 */
export async function startNetwork(plan: NetworkPlan, folder: string): Promise<LabNetwork> {
  const relaySocket = join(folder, 'relay.sock');
  requireSocketPath(relaySocket);
  const relay = new URL('./relay-process.ts', import.meta.url).pathname;
  const holder = await startProgram('unshare', ['--net', process.execPath, relay, relaySocket], {
    log: join(folder, 'relay.log'),
  });
  try {
    await untilListening(holder, relaySocket, join(folder, 'relay.log'));
    const inside = (program: string, args: readonly string[]) =>
      ['nsenter', [`--net=/proc/${holder.pid}/ns/net`, program, ...args]] as const;
    await runProgram(...inside('ip', ['-batch', '-']), { input: renderIpBatch(plan) });
    return {
      pid: holder.pid,
      relaySocket,
      inside,
      stop: async () => {
        await holder.stop(1_000);
      },
    };
  } catch (error) {
    await holder.stop(0);
    throw error;
  }
}

async function untilListening(holder: RunningProgram, socketPath: string, log: string) {
  let dead = false;
  void holder.ended.then(() => {
    dead = true;
  });
  for (let tries = 0; tries < 200 && !dead; tries += 1) {
    if (await answers(socketPath)) return;
    await sleep(50);
  }
  throw new AppError(
    'lab-network',
    `the lab's network namespace did not come up; see ${log}`,
    'run as root: making a namespace and taps needs CAP_SYS_ADMIN and CAP_NET_ADMIN',
  );
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
