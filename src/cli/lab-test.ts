import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { isLabRunning } from '../lab/control.ts';
import { availableMemory, planMemory } from '../lab/memory-budget.ts';
import type { Accelerator } from '../lab/qemu-args.ts';
import type { Scenario } from '../lab/scenario.ts';
import { holdsWith } from '../lab/start-order.ts';
import { planGuests } from '../lab/vm-spec.ts';
import { withLab } from '../lab/with-lab.ts';
import { adaptSite } from '../rehearsal/adapt-site.ts';
import { addMailbox, type Mailbox } from '../rehearsal/add-mailbox.ts';
import { leaveOutServices } from '../rehearsal/leave-out-services.ts';
import { choosePart, planRehearsal } from '../rehearsal/plan-rehearsal.ts';
import { renderResult, renderSum } from '../rehearsal/render-report.ts';
import { clearReport, consolesOf, writeReport } from '../rehearsal/report-folder.ts';
import type { Rehearsal } from '../rehearsal/result.ts';
import { keepConsoles, runRehearsal } from '../rehearsal/run-rehearsal.ts';
import { renderProblems } from '../render-problems.ts';
import { loadFleet } from '../roles/load-fleet.ts';
import { loadSite } from '../site/load-site.ts';
import type { Site } from '../site/site.ts';
import { type GlobalOptions, say } from './command.ts';
import { withControl } from './lab-control.ts';
import { tellStages } from './lab-watch.ts';

/** What can be typed after `lab test`, read. */
export interface RehearsalWishes {
  /** The site folder to copy. */
  readonly source: string;
  /** Where the lab lives while it runs. */
  readonly root: string;
  /** State folder with the lab's images. */
  readonly builds: string;
  /** Names of nodes, services, volumes and roles; all where absent. */
  readonly only?: readonly string[];
  /** MiB of each guest. */
  readonly memory: number;
  readonly accelerator?: Accelerator;
  /** Folder for the report. */
  readonly report: string;
  readonly keep: boolean;
}

/** Boots the site, or a part of it, in QEMU and proves it; fails where a proof does. */
export async function rehearse(globals: GlobalOptions, wishes: RehearsalWishes): Promise<void> {
  if (await isLabRunning(wishes.root)) {
    throw new AppError('lab-running', 'a rehearsal is running', 'rolecall lab down');
  }
  await clearReport(wishes.report);
  const fleet = await loadFleet(wishes.source);
  if (!fleet.ok) throw invalid(fleet.problems);
  const { site } = fleet.value;
  const wanted = planGuests(site, {
    spares: 0,
    memory: wishes.memory,
    only: chooseNodes(site, wishes.only),
  });
  const budget = planMemory(wanted, await availableMemory(), wishes.accelerator ?? 'tcg', (name) =>
    holdsWith(site, name),
  );
  const guests = budget.fit.map((guest) => guest.name);
  const left = budget.left.map((guest) => guest.name);
  const notes: string[] = [];
  if (left.length > 0) notes.push(`not started for want of memory: ${left.join(', ')}`);
  if (guests.length === 0) {
    throw new AppError('lab-memory', 'there is no memory for a single guest', 'free some memory');
  }
  const tellNote = (note: string) => {
    notes.push(note);
    if (!globals.json) say(note);
  };
  if (!globals.json) for (const note of notes) say(note);
  let mailbox: Mailbox | undefined;
  const rehearsal = await withLab(
    {
      name: `rehearsal of ${site.name}`,
      images: wishes.builds,
      site: wishes.source,
      edit: async (copy) => {
        for (const note of await adaptSite(copy)) tellNote(note);
        for (const note of await leaveOutServices(copy, new Set(guests))) tellNote(note);
        mailbox = await addMailbox(copy, randomBytes(24));
        if (mailbox) tellNote(`mail: ${mailbox.address} is added, to send a mail to`);
      },
      only: guests,
      switchOn: 'in-turn',
      memory: wishes.memory,
      ...(wishes.accelerator ? { accelerator: wishes.accelerator } : {}),
      folder: wishes.root,
      report: (line) => process.stderr.write(`${line}\n`),
    },
    (lab) => prove(lab, { site, guests, left, mailbox }, notes, globals, wishes),
  );
  await writeReport(rehearsal, wishes.report);
  const { results } = rehearsal;
  if (globals.json) say(JSON.stringify(results, null, 2));
  else say(`\n${renderSum(results)}; the report is ${join(wishes.report, 'report.html')}`);
  const failed = results.filter((result) => result.outcome === 'failed');
  if (failed.length > 0) {
    throw new AppError(
      'rehearsal-failed',
      `${failed.length} of ${results.length} proofs failed: ${failed.map((f) => f.title).join('; ')}`,
      `consoles are in ${consolesOf(wishes.report)}`,
    );
  }
}

/** What of a site is rehearsed. */
interface Part {
  /** The operator's, with the services that the lab's copy is without. */
  readonly site: Site;
  readonly guests: readonly string[];
  /** Nodes that there is no memory for. */
  readonly left: readonly string[];
  readonly mailbox: Mailbox | undefined;
}

async function prove(
  lab: Scenario,
  { site, guests, left, mailbox }: Part,
  notes: string[],
  globals: GlobalOptions,
  wishes: RehearsalWishes,
): Promise<Rehearsal> {
  const start = Date.now();
  return withControl(lab, async (lookAround) => {
    // The copy: the lab's machines may stand in for others of the operator's.
    const loaded = await loadSite(lab.site);
    if (!loaded.ok) throw invalid(loaded.problems);
    const whole = { ...loaded.value, services: site.services };
    const plan = planRehearsal(whole, new Set(guests), left);
    const { accelerator } = lab.lab.plan;
    const slow = accelerator === 'tcg' ? ', emulated: times are an upper bound' : '';
    notes.push(`guests ran under ${accelerator.toUpperCase()}${slow}`);
    const over = new AbortController();
    void tellStages(lab.lab, start, over.signal);
    const found = await runRehearsal(lab, loaded.value, plan, mailbox, start, (result) => {
      if (!globals.json) say(renderResult(result));
    }).finally(() => over.abort());
    await keepConsoles(lab, guests, consolesOf(wishes.report));
    if (wishes.keep) {
      await writeReport({ ...found, notes }, wishes.report);
      await lookAround(globals.state);
    }
    return { ...found, notes };
  });
}

/** The nodes that `--only` means, all where it is absent; refuses what is nothing in the site. */
function chooseNodes(site: Site, names: readonly string[] | undefined): readonly string[] {
  if (names === undefined) return [...site.nodes.keys()];
  const { nodes, unknown } = choosePart(site, names);
  if (unknown.length === 0) return [...nodes];
  const known = [...site.nodes.keys(), ...site.services.keys(), ...site.volumes.keys()];
  throw new AppError(
    'usage',
    `--only ${unknown.join(',')}: the site has no such node, service, volume or role`,
    `it has ${known.slice(0, 20).join(', ')}`,
  );
}

function invalid(problems: Parameters<typeof renderProblems>[0]): AppError {
  return new AppError('invalid-site', renderProblems(problems), 'rolecall check');
}
