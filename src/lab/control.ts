import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import type { NodeStatus } from '../state/event.ts';
import {
  identifyProcess,
  isAlive,
  type ProcessIdentity,
  signalProcess,
} from '../system/process-identity.ts';
import { askJson } from './ask-json.ts';
import type { HostPort } from './host-ports.ts';
import type { CableState } from './lab.ts';
import type { VmSpec } from './vm-spec.ts';

/** What a running lab says of itself. */
export interface LabReport {
  readonly phase: 'starting' | 'running' | 'ending';
  /** What it does while it starts. */
  readonly step: string;
  readonly consoleUrl: string;
  readonly guests: readonly VmSpec[];
  readonly rows: readonly NodeStatus[];
  /** Names of guests without power. */
  readonly off: readonly string[];
  /** Those of them that are switched on when others have booted. */
  readonly waiting: readonly string[];
  /** Host ports by the address of a node or a service. */
  readonly ports: Readonly<Record<string, readonly HostPort[]>>;
  /** What went wrong with the lab itself; empty where nothing. */
  readonly problem: string;
}

export type GuestVerb = 'reboot' | 'kill' | 'start' | 'pause' | 'resume';

/** What the supervisor does when it is asked. */
export interface LabControl {
  report(): Promise<LabReport>;
  guest(verb: GuestVerb, name: string): Promise<void>;
  link(name: string, network: string, state: CableState): Promise<void>;
  down(): void;
}

const controlSocket = (root: string) => join(root, 'control.sock');
const recordFile = (root: string) => join(root, 'lab.json');

/** Processes of a lab, so that what a crash may have left can be told from anything else. */
interface LabRecord {
  readonly supervisor: ProcessIdentity;
}

/** Writes who supervises the lab in this folder, and answers on its control socket. */
export async function startControl(root: string, control: LabControl): Promise<Server> {
  await rm(controlSocket(root), { force: true });
  const server = createServer((request, response) => {
    const send = (status: number, value: unknown) =>
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(`${JSON.stringify(value)}\n`);
    answer(control, request.method ?? '', request.url ?? '').then(
      (value) => send(200, value),
      (error: Error & { hint?: string }) =>
        send(409, { error: { message: error.message, hint: error.hint ?? '' } }),
    );
  });
  await new Promise<void>((resolve) => server.listen(controlSocket(root), resolve));
  const supervisor = identifyProcess(process.pid);
  if (supervisor) await writeFile(recordFile(root), JSON.stringify({ supervisor }));
  return server;
}

async function answer(control: LabControl, method: string, url: string): Promise<unknown> {
  if (method === 'GET' && url === '/') return control.report();
  if (method === 'POST' && url === '/down') {
    control.down();
    return {};
  }
  const cable = /^\/guests\/([^/]+)\/link\/([^/]+)\/(up|down)$/.exec(url);
  if (method === 'POST' && cable) {
    const [name = '', network = ''] = cable.slice(1).map(decodeURIComponent);
    await control.link(name, network, cable[3] as CableState);
    return {};
  }
  const asked = /^\/guests\/([^/]+)\/(reboot|kill|start|pause|resume)$/.exec(url);
  if (method !== 'POST' || !asked) throw new AppError('lab-usage', `${method} ${url} is unknown`);
  await control.guest(asked[2] as GuestVerb, decodeURIComponent(asked[1] ?? ''));
  return {};
}

/** The report of the lab in this folder; refuses where none runs. */
export async function readReport(root: string): Promise<LabReport> {
  await requireRunning(root);
  return (await askJson(controlSocket(root), 'GET', '/')) as LabReport;
}

/** Has the lab in this folder do something to a guest. */
export async function askGuest(root: string, verb: GuestVerb, name: string): Promise<void> {
  await requireRunning(root);
  await askJson(controlSocket(root), 'POST', `/guests/${encodeURIComponent(name)}/${verb}`);
}

/** Has the lab in this folder cut or mend a guest's cables to a network. */
export async function askLink(
  root: string,
  name: string,
  network: string,
  state: CableState,
): Promise<void> {
  await requireRunning(root);
  const path = [name, 'link', network, state].map(encodeURIComponent).join('/');
  await askJson(controlSocket(root), 'POST', `/guests/${path}`);
}

async function requireRunning(root: string): Promise<void> {
  if (await isLabRunning(root)) return;
  throw new AppError('lab-not-running', `no lab runs in ${root}`, 'start one: rolecall lab up');
}

/** Whether the process that supervises the lab in this folder is alive. */
export async function isLabRunning(root: string): Promise<boolean> {
  const record = await readRecord(root);
  return record !== undefined && isAlive(record.supervisor);
}

/**
 * Ends the lab in this folder and removes its sockets; says whether there was one.
 * Guests, network and boot server go with the supervisor even where it must be killed.
 */
export async function takeLabDown(root: string): Promise<boolean> {
  const record = await readRecord(root);
  const running = record !== undefined && isAlive(record.supervisor);
  if (running) {
    signalProcess(record.supervisor, 'SIGTERM');
    for (let waits = 0; waits < 300 && isAlive(record.supervisor); waits += 1) await sleep(100);
    signalProcess(record.supervisor, 'SIGKILL');
    while (isAlive(record.supervisor)) await sleep(50);
  }
  await removeRemains(root);
  return running;
}

/** Removes the sockets and records of a lab that has ended. */
export async function removeRemains(root: string): Promise<void> {
  for (const name of ['lab.json', 'control.sock', 'relay.sock', 'plan.json']) {
    await rm(join(root, name), { force: true });
  }
}

async function readRecord(root: string): Promise<LabRecord | undefined> {
  const text = await readFile(recordFile(root), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as LabRecord;
  } catch {
    // A crash in the middle of writing it; whoever wrote it is gone.
    return undefined;
  }
}
