import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import { renderQemuArgs } from '../lab/qemu-args.ts';
import type { Scenario } from '../lab/scenario.ts';
import { vmPaths } from '../lab/vm.ts';
import { type RunningProgram, startProgram } from '../system/start-program.ts';
import { parseAnswers, parseSteps, parseTimes } from './boot-site.ts';
import { processUsage } from './process-usage.ts';

/** One boot of one machine; seconds since QEMU's start. */
export interface Boot {
  /** The service answers. */
  readonly answers: number;
  /** When the kernel began, then the initramfs, systemd, and the web server. */
  readonly kernel: number;
  readonly init: number;
  readonly systemd: number;
  readonly service: number;
  /** When our initramfs had the root mounted; absent of others. */
  readonly root?: number;
  /** Seconds of processor that QEMU took. */
  readonly cpu: number;
}

/** Changes QEMU's arguments of a machine of the lab. */
export type ChangeArguments = (args: readonly string[]) => readonly string[];

/** Seconds; four machines that share two processors have taken a minute and a half. */
const patience = 300;

/**
 * Switches these machines of the lab on at once, waits until the service of each answers, and pulls the plugs. With
 * `change` QEMU is told something else than the lab tells it, such as to start a kernel directly.
 */
export async function bootTogether(
  scenario: Scenario,
  names: readonly string[],
  change?: ChangeArguments,
): Promise<readonly Boot[]> {
  const start = Date.now();
  const started = await Promise.all(names.map((name) => switchOn(scenario, name, change)));
  try {
    return await Promise.all(started.map((machine) => bootOf(machine, start)));
  } finally {
    for (const machine of started) await machine.off();
  }
}

interface Machine {
  readonly name: string;
  readonly pid: number;
  readonly consoleLog: string;
  off(): Promise<void>;
}

async function switchOn(
  { lab }: Scenario,
  name: string,
  change: ChangeArguments | undefined,
): Promise<Machine> {
  const spec = lab.plan.guests.find((guest) => guest.name === name);
  if (!spec) throw new Error(`the lab has no guest ${name}`);
  const folder = lab.folder.guest(name);
  const paths = vmPaths(folder, spec, lab.plan.roms);
  const { consoleLog } = paths;
  if (!change) {
    await rm(consoleLog, { force: true });
    await lab.start(name);
    const pid = lab.guest(name)?.pid ?? 0;
    return { name, pid, consoleLog, off: () => lab.kill(name) };
  }
  for (const file of [paths.qmp, paths.console, consoleLog]) await rm(file, { force: true });
  const taps = lab.plan.network.taps.filter((tap) => tap.guest === name).map((tap) => tap.name);
  const args = change(renderQemuArgs(spec, paths, taps, lab.plan.accelerator));
  const qemu: RunningProgram = await startProgram(
    ...lab.network.inside('qemu-system-x86_64', args),
    { log: join(folder, 'qemu.log') },
  );
  return { name, pid: qemu.pid, consoleLog, off: async () => void (await qemu.stop(0)) };
}

async function bootOf(machine: Machine, start: number): Promise<Boot> {
  const up = await untilSaid(machine, start, parseAnswers);
  const answers = (Date.now() - start) / 1000;
  const { cpu } = await processUsage(machine.pid);
  const said = await untilSaid(machine, start, parseTimes);
  const root = parseSteps(await readConsole(machine)).get('root');
  const kernel = answers - up;
  return {
    ...{ answers, kernel, cpu },
    init: kernel + said.init,
    systemd: kernel + said.systemd,
    service: kernel + said.service,
    ...(root === undefined ? {} : { root: kernel + root }),
  };
}

async function untilSaid<T>(
  machine: Machine,
  start: number,
  parse: (console: string) => T | undefined,
): Promise<T> {
  for (; Date.now() < start + patience * 1000; await sleep(50)) {
    const said = parse(await readConsole(machine));
    if (said !== undefined) return said;
  }
  const end = (await readConsole(machine)).split('\n').slice(-20).join('\n');
  throw new AppError(
    'bench-failed',
    `${machine.name} does not answer after ${patience} s; the end of its console:\n${end}`,
  );
}

function readConsole({ consoleLog }: Machine): Promise<string> {
  return readFile(consoleLog, 'latin1').catch(() => '');
}
