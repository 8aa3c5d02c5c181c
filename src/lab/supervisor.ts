import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LabReport, removeRemains, startControl } from './control.ts';
import type { HostPort } from './host-ports.ts';
import { type Lab, type LabPlan, startLab } from './lab.ts';
import { labFolder } from './lab-folder.ts';
import { switchOnInTurn } from './switch-on.ts';

/** The process that keeps a lab. */
export interface SupervisorProcess {
  /** Resolves with its exit code when it has ended. */
  readonly ended: Promise<number | null>;
  /** Lets it live on without us. */
  release(): void;
}

/** A lab whose guests are not all switched on at once. */
export interface SupervisedPlan extends LabPlan {
  /** Names of guests to switch on, a few at a time. */
  readonly inTurn: readonly string[];
  /** How many guests may boot at a time. */
  readonly atOnce: number;
}

/** The file that takes the supervisor's own words. */
export const supervisorLog = (root: string): string => join(root, 'supervisor.log');

/**
 * Starts the supervisor as a process of its own session, so that Ctrl-C reaches only who asked for it.
 * Attached, it takes the lab down when this process ends, however it ends: it reads a pipe that we hold.
 */
export async function startSupervisor(
  root: string,
  plan: SupervisedPlan,
  attached: boolean,
): Promise<SupervisorProcess> {
  await writeFile(join(root, 'plan.json'), JSON.stringify(plan));
  const main = new URL('../main.ts', import.meta.url).pathname;
  const log = openSync(supervisorLog(root), 'w');
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      main,
      ...['lab', 'supervise', root, ...(attached ? ['--attached'] : [])],
    ],
    { detached: true, stdio: [attached ? 'pipe' : 'ignore', log, log] },
  );
  closeSync(log);
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return { ended, release: () => child.unref() };
}

/** What a lab that runs says of itself. */
export async function describeLab(
  lab: Lab,
): Promise<Pick<LabReport, 'consoleUrl' | 'rows' | 'off' | 'ports'>> {
  const rows = await lab.status().catch(() => []);
  const off = lab.plan.guests.map(({ name }) => name).filter((name) => !lab.guest(name));
  const ports: Record<string, readonly HostPort[]> = {};
  for (const address of [...rows.map((row) => row.address), ...lab.plan.vips]) {
    if (address) ports[address] = await lab.ports(address);
  }
  return { consoleUrl: lab.consoleUrl, rows, off, ports };
}

/** What the supervisor does: keeps the lab of the folder's plan up until it is told to end. */
export async function runSupervisor(root: string, attached: boolean): Promise<void> {
  const folder = labFolder(root);
  const plan = JSON.parse(await readFile(join(root, 'plan.json'), 'utf8')) as SupervisedPlan;
  let phase: LabReport['phase'] = 'starting';
  let step = '';
  let problem = '';
  let lab: Lab | undefined;
  let waiting = plan.inTurn;
  let tellEnd: () => void = () => {};
  const toldToEnd = new Promise<void>((resolve) => {
    tellEnd = resolve;
  });
  process.once('SIGTERM', tellEnd);
  process.once('SIGINT', tellEnd);
  if (attached) process.stdin.on('end', tellEnd).on('error', tellEnd).resume();

  const control = await startControl(root, {
    report: async () => {
      const { guests, off } = plan;
      const before = { consoleUrl: '', rows: [], off, ports: {} };
      return { phase, step, guests, waiting, problem, ...(lab ? await describeLab(lab) : before) };
    },
    guest: async (verb, node) => {
      const guest = (await lab?.guestName(node)) ?? node;
      await lab?.[verb](guest);
    },
    link: async (node, network, state) => {
      await lab?.link(await lab.guestName(node), network, state);
    },
    down: tellEnd,
  });
  try {
    const starting = startLab(folder, plan, (text) => {
      step = text;
    });
    lab = await starting;
    phase = 'running';
    void lab.server().ended.then(() => {
      if (phase === 'running') problem = `the boot server has ended; see ${folder.serverLog}`;
    });
    const turns = switchOnInTurn(lab, plan, (left) => {
      waiting = left;
    });
    turns.catch((error: Error) => {
      [waiting, problem] = [[], error.message];
    });
    await toldToEnd;
  } finally {
    phase = 'ending';
    await lab?.stop();
    control.closeAllConnections();
    control.close();
    await removeRemains(root);
  }
}
