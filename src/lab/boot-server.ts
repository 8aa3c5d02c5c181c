import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import type { VolumeStatus } from '../http/volume-status.ts';
import type { MacAddress } from '../net/mac.ts';
import type { Event, NodeStatus } from '../state/event.ts';
import { startProgram } from '../system/start-program.ts';
import { askJson } from './ask-json.ts';
import type { LabNetwork } from './network.ts';
import type { Reached } from './relay.ts';

/** The lab's `rolecall serve`, running where the guests' network is. */
export interface LabBootServer {
  readonly pid: number;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  /** Unix socket of the console and the API. */
  readonly adminSocket: string;
  /** SIGTERM, as an operator would; resolves with how it ended. */
  stop(): Promise<{ readonly exitCode: number | null }>;
}

export interface BootServerSetting {
  readonly network: LabNetwork;
  readonly site: string;
  readonly state: string;
  readonly log: string;
}

/** Starts `rolecall serve` inside the lab's network; resolves when its API answers. */
export async function startBootServer(setting: BootServerSetting): Promise<LabBootServer> {
  const main = new URL('../main.ts', import.meta.url).pathname;
  const adminSocket = join(setting.state, 'admin.sock');
  const program = await startProgram(
    ...setting.network.inside(process.execPath, [
      '--disable-warning=ExperimentalWarning',
      main,
      ...['--site', setting.site, '--state', setting.state],
      // A listener on the namespace's loopback would reach nobody; the unix socket reaches the host.
      ...['serve', '--no-admin'],
    ]),
    { log: setting.log },
  );
  let running = true;
  const ended = program.ended.then(() => {
    running = false;
  });
  // Under emulation and with builds next door the start has taken many seconds.
  for (const until = Date.now() + 60_000; running && Date.now() < until; await sleep(100)) {
    const answers = await askJson(adminSocket, 'GET', '/api/v1/nodes').then(
      () => true,
      () => false,
    );
    if (answers) return { pid: program.pid, ended, adminSocket, stop: () => program.stop(15_000) };
  }
  await program.stop(0);
  const said = await readFile(setting.log, 'utf8').catch(() => '');
  throw new AppError(
    'lab-server',
    `the lab's boot server did not start; its last lines:\n${said.trim().split('\n').slice(-12).join('\n')}`,
    `all of it is in ${setting.log}`,
  );
}

/** The status of every machine that the server knows. */
export async function fetchStatus(adminSocket: string): Promise<readonly NodeStatus[]> {
  return (await askJson(adminSocket, 'GET', '/api/v1/nodes')) as NodeStatus[];
}

/** The volumes of the site as their nodes said last. */
export async function fetchVolumes(adminSocket: string): Promise<readonly VolumeStatus[]> {
  return (await askJson(adminSocket, 'GET', '/api/v1/volumes')) as VolumeStatus[];
}

/** The events kept of one machine, oldest first. */
export async function fetchEvents(
  adminSocket: string,
  machine: MacAddress,
): Promise<readonly Event[]> {
  const path = `/api/v1/events?machine=${machine}`;
  const logged = (await askJson(adminSocket, 'GET', path)) as { event: Event }[];
  return logged.map(({ event }) => event);
}

/** Connects to the console and the API. */
export function connectAdmin(adminSocket: string): Promise<Reached> {
  return new Promise((resolve) => {
    const socket = connect(adminSocket);
    socket.once('connect', () => resolve({ kind: 'open', socket }));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      resolve({ kind: 'closed', reason: error.code ?? error.message }),
    );
  });
}
