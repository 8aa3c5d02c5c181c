import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { AppError } from '../errors.ts';
import { acceleratorMemory, chooseAccelerator } from '../lab/accelerator.ts';
import {
  askGuest,
  askLink,
  type GuestVerb,
  isLabRunning,
  readReport,
  takeLabDown,
} from '../lab/control.ts';
import {
  type LabFolder,
  labFolder,
  prepareLabSite,
  prepareLabState,
  requireSocketPaths,
} from '../lab/lab-folder.ts';
import { ensureImage } from '../lab/lab-image.ts';
import { columns, labRows, renderInvitation, renderRow } from '../lab/lab-view.ts';
import { availableMemory, planMemory } from '../lab/memory-budget.ts';
import { planNetwork } from '../lab/network-plan.ts';
import type { Accelerator } from '../lab/qemu-args.ts';
import { holdsWith } from '../lab/start-order.ts';
import {
  runSupervisor,
  type SupervisedPlan,
  startSupervisor,
  supervisorLog,
} from '../lab/supervisor.ts';
import { bootsAtOnce } from '../lab/switch-on.ts';
import { defaultMemory, planGuests, type VmSpec } from '../lab/vm-spec.ts';
import { choosePart } from '../rehearsal/plan-rehearsal.ts';
import { renderProblems } from '../render-problems.ts';
import { loadSite } from '../site/load-site.ts';
import type { Site } from '../site/site.ts';
import { createBuildProgress } from './build-progress.ts';
import { type GlobalOptions, type RegisterCommand, say } from './command.ts';
import { imageTestRoot } from './image-test.ts';
import { showConsole } from './lab-console.ts';
import { parseAccelerator, parseCount, splitNames } from './lab-options.ts';
import { rehearse } from './lab-test.ts';
import { watchArrivals, watchChanges } from './lab-watch.ts';
import { renderTable } from './table.ts';

interface UpOptions {
  readonly only?: string;
  readonly spares: string;
  readonly uefi?: string;
  readonly memory: string;
  readonly accel?: string;
  readonly fresh?: boolean;
  readonly detach?: boolean;
}

interface TestOptions {
  readonly only?: string;
  readonly keep?: boolean;
  readonly memory: string;
  readonly accel?: string;
  readonly report?: string;
}

/** The lab that ships with rolecall. */
const exampleSite = resolve(import.meta.dirname, '../../examples/lab');

const rootOf = (globals: GlobalOptions) => join(globals.state, 'lab');
const rehearsalOf = (globals: GlobalOptions) => join(rootOf(globals), 'rehearsal');

/** The folder of the lab that runs: that of `lab up`, or else of a rehearsal or an image test. */
async function runningRoot(globals: GlobalOptions): Promise<string> {
  for (const root of [rootOf(globals), rehearsalOf(globals), imageTestRoot(globals.state)]) {
    if (await isLabRunning(root)) return root;
  }
  return rootOf(globals);
}

/** Adds `lab`: the fleet in QEMU on this PC. */
export const register: RegisterCommand = (program, globals) => {
  const lab = program.command('lab').description('the fleet in QEMU on this PC');
  lab
    .command('up')
    .description('start the boot server and guests on a private network, and watch them boot')
    .option(
      '--only <names>',
      'only these guests, or those of these roles, services and volumes, separated by commas',
    )
    .option('--spares <n>', 'machines that no role file names', '1')
    .option('--uefi <names>', 'guests with UEFI firmware; every second one by default')
    .option('--memory <MiB>', 'memory of each guest', String(defaultMemory))
    .option('--accel <kvm|tcg>', 'how guests run; KVM where a try shows that it boots, else TCG')
    .option('--fresh', 'throw away edits of the last working copy of the site')
    .option('--detach', 'leave the lab running when all machines have arrived')
    .action((options: UpOptions) => up(globals(), options));
  lab
    .command('test')
    .description(
      'rehearse: boot the site in QEMU, ask each service as a client, lose one node of each pair',
    )
    .option('--only <names>', 'only these nodes, services, volumes or roles, separated by commas')
    .option('--keep', 'leave the machines on afterwards, to look around')
    .option('--memory <MiB>', 'memory of each guest', String(defaultMemory))
    .option('--accel <kvm|tcg>', 'how guests run; KVM where a try shows that it boots, else TCG')
    .option('--report <dir>', 'folder for report.html, timeline.svg, junit.xml and consoles/')
    .action((options: TestOptions) => test(globals(), options));
  lab
    .command('status')
    .description('where each machine stands')
    .action(() => status(globals()));
  lab
    .command('console <node>')
    .description(
      'the serial console of a machine; Ctrl-] leaves; prints the log where not a terminal',
    )
    .action(async (node: string) => showConsole(labFolder(await runningRoot(globals())), node));
  addGuestVerb(lab, globals, 'reboot', 'press the reset button of a machine');
  addGuestVerb(lab, globals, 'kill', 'pull the plug of a machine');
  addGuestVerb(lab, globals, 'start', 'switch a machine on');
  addGuestVerb(lab, globals, 'pause', 'stop the processors of a machine, as one that hangs');
  addGuestVerb(lab, globals, 'resume', 'let a paused machine go on');
  lab
    .command('link <node> <network> <up|down>')
    .description("plug in or pull a machine's cables to a network")
    .action(async (node: string, network: string, state: string) => {
      if (state !== 'up' && state !== 'down') {
        throw new AppError('usage', `a cable is up or down, not ${state}`);
      }
      await askLink(await runningRoot(globals()), node, network, state);
    });
  lab
    .command('down')
    .description('end the lab, and whatever a crash has left of one')
    .action(async () => {
      const was = await takeLabDown(await runningRoot(globals()));
      say(was ? 'the lab is down' : 'no lab was running');
    });
  lab
    .command('supervise <folder>', { hidden: true })
    .option('--attached')
    .action((folder: string, options: { attached?: boolean }) =>
      runSupervisor(folder, options.attached === true),
    );
};

function addGuestVerb(
  lab: Command,
  globals: () => GlobalOptions,
  verb: GuestVerb,
  description: string,
): void {
  lab
    .command(`${verb} <node>`)
    .description(description)
    .action(async (node: string) => askGuest(await runningRoot(globals()), verb, node));
}

async function up(globals: GlobalOptions, options: UpOptions): Promise<void> {
  const accelerator = parseAccelerator(options.accel);
  const folder = labFolder(rootOf(globals));
  if (await isLabRunning(folder.root)) {
    throw new AppError(
      'lab-running',
      'a lab is running',
      'rolecall lab status, or: rolecall lab down',
    );
  }
  await takeLabDown(folder.root);
  const { plan, site } = await planLab(globals, options, accelerator, folder);
  const supervisor = await startSupervisor(folder.root, plan, options.detach !== true);
  let interrupted = false;
  const interrupt = () => {
    interrupted = true;
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  let exitCode: number | null | undefined;
  void supervisor.ended.then((code) => {
    exitCode = code ?? 1;
  });
  const isOver = () => interrupted || exitCode !== undefined;

  const settled = await watchArrivals(folder, isOver);
  if (settled) {
    const state = ` --state ${globals.state}`;
    say(`\n${renderInvitation(settled, site, folder, programName(), state)}`);
    if (options.detach) return supervisor.release();
    say('\nCtrl-C ends the lab.');
    await watchChanges(folder, settled, isOver);
  }
  if (exitCode === undefined || interrupted) {
    say('\ntaking the lab down');
    await takeLabDown(folder.root);
    return;
  }
  throw new AppError(
    'lab-ended',
    (await readFile(supervisorLog(folder.root), 'utf8').catch(() => '')).trim() ||
      `the lab ended by itself with exit code ${exitCode}`,
    `its log is ${supervisorLog(folder.root)}`,
  );
}

async function planLab(
  globals: GlobalOptions,
  options: UpOptions,
  accelerator: Accelerator | undefined,
  folder: LabFolder,
): Promise<{ readonly plan: SupervisedPlan; readonly site: Site }> {
  const source = sourceOf(globals);
  if (source !== folder.site) {
    const copy = await prepareLabSite(folder, source, options.fresh === true);
    say(
      copy === 'copied'
        ? `site: ${folder.site}, a copy of ${source}`
        : `site: ${folder.site}, with your edits; --fresh starts over from ${source}`,
    );
  }
  const loaded = await loadSite(folder.site);
  if (!loaded.ok) {
    throw new AppError(
      'invalid-site',
      renderProblems(loaded.problems),
      `edit it in ${folder.site}`,
    );
  }
  const site = loaded.value;
  const uefi = splitNames(options.uefi);
  const all = planGuests(site, {
    spares: parseCount('--spares', options.spares, 0),
    memory: parseCount('--memory', options.memory, 64),
    ...(uefi ? { uefi } : {}),
  });
  const wanted = chooseGuests(site, all, splitNames(options.only));
  requireSocketPaths(folder, all);
  const progress = createBuildProgress(process.stderr, Date.now);
  const image = await ensureImage(folder.builds, folder.site, progress.show).finally(progress.end);
  await prepareLabState(folder, folder.builds);
  const choice = accelerator
    ? { accelerator, reason: 'as you asked' }
    : await chooseAccelerator(image.kernel, acceleratorMemory(folder.builds));
  say(`guests run under ${choice.accelerator.toUpperCase()}: ${choice.reason}`);
  const available = await availableMemory();
  const budget = planMemory(wanted, available, choice.accelerator, (name) => holdsWith(site, name));
  if (budget.left.length > 0) {
    const left = budget.left.map((g) => g.name);
    say(
      `not started: ${left.join(', ')}; all need ${budget.needed} MiB, and ${available} MiB are free`,
    );
    const lab = labCommand(globals);
    say(`  ${lab} start ${left[0]}    # one of them all the same, when the lab is up`);
    say(`  ${lab} up --only web,lb,spare    # or choose: roles, nodes, services, volumes`);
  }
  if (budget.fit.length === 0) {
    throw new AppError('lab-memory', 'there is no memory for a single guest', 'free some memory');
  }
  const fit = budget.fit.map((guest) => guest.name);
  const atOnce = Math.min(fit.length, bootsAtOnce(choice.accelerator));
  const inTurn = fit.slice(atOnce);
  if (inTurn.length > 0) {
    say(`first ${fit.slice(0, atOnce).join(', ')}; then, as these arrive, ${inTurn.join(', ')}`);
    if (choice.accelerator === 'tcg') say(crowded(fit.length, `${labCommand(globals)} up`));
  }
  const plan = {
    network: planNetwork(site, all),
    guests: all,
    off: all.map((guest) => guest.name).filter((name) => !fit.slice(0, atOnce).includes(name)),
    vips: [...site.services.values()].flatMap(({ vip }) =>
      [...vip].flatMap(([network, address]) =>
        site.networks.get(network)?.server === undefined ? [] : [address],
      ),
    ),
    accelerator: choice.accelerator,
    roms: image.roms,
    ports: 'known' as const,
    ...{ inTurn, atOnce },
  };
  return { plan, site };
}

async function test(globals: GlobalOptions, options: TestOptions): Promise<void> {
  const accelerator = parseAccelerator(options.accel);
  const only = splitNames(options.only);
  await rehearse(globals, {
    source: sourceOf(globals),
    root: rehearsalOf(globals),
    builds: labFolder(rootOf(globals)).builds,
    ...(only ? { only } : {}),
    memory: parseCount('--memory', options.memory, 64),
    ...(accelerator ? { accelerator } : {}),
    report: resolve(options.report ?? join(rootOf(globals), 'rehearsal-report')),
    keep: options.keep === true,
  });
}

/** The operator's site, or the lab's own where there is none. */
function sourceOf(globals: GlobalOptions): string {
  return existsSync(join(globals.site, 'site.yaml')) ? globals.site : exampleSite;
}

/** The guests that `--only` means: by name, by role, by the service or volume that they are for; `spare` has all spares. */
function chooseGuests(
  site: Site,
  all: readonly VmSpec[],
  only: readonly string[] | undefined,
): readonly VmSpec[] {
  if (!only) return all;
  const { nodes, unknown } = choosePart(site, only);
  const isMeant = ({ name }: VmSpec) =>
    nodes.has(name) || only.includes(name) || (only.includes('spare') && !site.nodes.has(name));
  const strange = unknown.filter((name) => name !== 'spare' && !all.some((g) => g.name === name));
  const meant = all.filter(isMeant);
  if (strange.length === 0 && meant.length > 0) return meant;
  throw new AppError(
    'lab-unknown-guest',
    `the lab has no guest ${strange.join(', ') || only.join(', ')}`,
    `its guests are ${all.map((guest) => guest.name).join(', ')}`,
  );
}

async function status(globals: GlobalOptions): Promise<void> {
  const report = await readReport(await runningRoot(globals));
  if (globals.json) return say(JSON.stringify(report.rows, null, 2));
  say(
    renderTable(
      columns,
      labRows(report).map((row) => renderRow(row, Date.now())),
    ),
  );
  if (report.off.length > 0) say(`off: ${report.off.join(', ')}`);
  if (report.problem) say(report.problem);
}

/** Emulated machines that never rest share the processors. */
function crowded(machines: number, up: string): string {
  return `${machines} machines are emulated by ${availableParallelism()} processors: some steps take minutes, and a node may count as silent in between.
  ${up} --only web,lb,spare    # a lab that answers quicker`;
}

function labCommand({ state }: GlobalOptions): string {
  return `${programName()} --state ${state} lab`;
}

/** How this program can be called again from where the operator stands. */
function programName(): string {
  const own = resolve(import.meta.dirname, '../../bin/rolecall');
  return own === resolve('bin/rolecall') ? 'bin/rolecall' : own;
}
