import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../lab/scenario.ts';
import type { Site } from '../site/site.ts';
import type { Mailbox } from './add-mailbox.ts';
import { nodeLane, recordLane, targetLane } from './lanes.ts';
import { isSteady, measureOutage, type Sample } from './outages.ts';
import { paceOf } from './pace.ts';
import { nameTarget, type Pair, type RehearsalPlan, type Target } from './plan-rehearsal.ts';
import { proveBoot } from './prove-boot.ts';
import { proveMail } from './prove-mail.ts';
import { makeVolumes, proveVolumeLoss } from './prove-volumes.ts';
import type { ProofResult, Rehearsal } from './result.ts';
import {
  bootPatience,
  clientOn,
  comeBack,
  power,
  type Run,
  returnLimit,
  since,
  steadyTime,
  tell,
  waitAllReady,
  waitReady,
} from './run.ts';
import { startWatch, type Watch } from './watch.ts';

/**
 * Runs the proofs of a plan in a lab whose guests have just been switched on at `start`. Never fails for
 * what it finds: that is in the results, each of which is also told as it comes.
 */
export async function runRehearsal(
  lab: Scenario,
  site: Site,
  plan: RehearsalPlan,
  mailbox: Mailbox | undefined,
  start: number,
  onResult: (result: ProofResult) => void,
): Promise<Omit<Rehearsal, 'notes'>> {
  const names = plan.boots.map(({ node }) => node);
  const run: Run = {
    lab,
    site,
    start,
    patience: bootPatience(names.length),
    results: [],
    marks: [],
    power: new Map(names.map((name) => [name, [{ at: start, power: 'on' }]])),
    samples: new Map(),
    records: new Map(),
    clients: new Map(),
    onResult,
    lastGood: start,
    isMaking: false,
  };
  await mkdir(join(lab.lab.folder.root, 'watches'), { recursive: true });
  const boots = plan.boots.map(({ node, roles }) => proveBoot(run, node, roles));
  // What keeps its data on a volume is ready only when that is made.
  const [made] = await Promise.all([makeVolumes(run, plan.volumes), ...boots]);
  const served = await proveServices(run, plan.targets);
  const mails = mailbox ? await proveMail(run, plan.mails, mailbox, []) : [];
  if (!mailbox) for (const { service } of plan.mails) tell(run, noDomain(service));
  for (const pair of plan.losses) await proveLoss(run, pair, served);
  for (const pair of plan.holders) await proveVolumeLoss(run, pair, made);
  const wasLost = [...run.power.values()].flat().some((change) => change.power === 'off');
  if (mailbox && wasLost) {
    await proveMail(run, plan.mails, mailbox, mails);
  }
  for (const { group, title, reason } of plan.untried) {
    tell(run, { group, title, outcome: 'not tried', seconds: 0, detail: reason });
  }
  const end = Date.now();
  const nodes = await Promise.all(
    names.map(async (name) =>
      nodeLane(name, await lab.events(name).catch(() => []), run.power.get(name) ?? [], end),
    ),
  );
  const targets = [...run.samples].map(([name, samples]) => targetLane(name, samples));
  const volumes = [...run.records].map(([name, times]) => recordLane(`volume ${name}`, times));
  const { results, marks } = run;
  const lanes = [...nodes, ...targets, ...volumes];
  const title = `Rehearsal of ${site.name}`;
  return { site: site.name, title, start, end, results, lanes, marks };
}

const noDomain = (service: string): ProofResult => ({
  group: 'mail',
  title: `a mail to ${service}`,
  outcome: 'not tried',
  seconds: 0,
  detail: 'its servers take mail for no domain with a file of users',
});

/** Clients that ask each target, and one reader for all of them. */
async function watchTargets(run: Run, targets: readonly Target[]) {
  const networks = [...new Set(targets.map((target) => target.network))];
  const watches: Watch[] = [];
  for (const network of networks) {
    const host = await clientOn(run, network);
    const file = join(run.lab.lab.folder.root, 'watches', `${Date.now()}-${network}`);
    const own = targets.filter((target) => target.network === network);
    watches.push(await startWatch(host, own, paceOf(run.lab.lab.plan.accelerator), file));
  }
  const read = async () =>
    new Map((await Promise.all(watches.map((w) => w.samples()))).flatMap((map) => [...map]));
  return {
    read,
    stop: async () => {
      for (const watch of watches) await watch.stop();
      for (const [target, samples] of await read()) {
        const name = nameTarget(target);
        run.samples.set(name, [...(run.samples.get(name) ?? []), ...samples]);
      }
    },
  };
}

/** Waits until every target has been answered without a fault for `steady` seconds; those that were not. */
async function waitAnswers(
  targets: readonly Target[],
  read: () => Promise<ReadonlyMap<Target, readonly Sample[]>>,
  steady: number,
): Promise<ReadonlySet<Target>> {
  const from = Date.now();
  let late = new Set(targets);
  while (late.size > 0 && since(from) < comeBack + steady) {
    await sleep(500);
    const samples = await read();
    const edge = Date.now() - steady * 1_000;
    const isLate = (t: Target) => edge < from || !isSteady(samples.get(t) ?? [], edge);
    late = new Set(targets.filter(isLate));
  }
  return late;
}

/** Proves that each target answers a client; gives back the names of those that do. */
async function proveServices(run: Run, targets: readonly Target[]): Promise<ReadonlySet<string>> {
  if (targets.length === 0) return new Set();
  const from = Date.now();
  const watch = await watchTargets(run, targets);
  const late = await waitAnswers(targets, watch.read, steadyTime(run));
  const samples = await watch.read();
  await watch.stop();
  for (const target of targets) {
    const title = `${nameTarget(target)} answers a client on ${target.network}`;
    const own = samples.get(target) ?? [];
    const last = own.at(-1);
    const seconds = since(from);
    if (late.has(target)) {
      const detail = last?.problem || 'no steady answer';
      tell(run, { group: 'service', title, outcome: 'failed', seconds, detail });
    } else {
      const detail = `in ${last?.took ?? 0} ms`;
      tell(run, { group: 'service', title, outcome: 'passed', seconds, detail });
    }
  }
  return new Set(targets.filter((target) => !late.has(target)).map(nameTarget));
}

/** Pulls the plug of one node of a pair while clients ask, and switches it on again. */
async function proveLoss(run: Run, pair: Pair, served: ReadonlySet<string>): Promise<void> {
  const what = `${pair.kind} of ${pair.services.join(', ')}`;
  const targets = oneForEachAddress(pair.targets);
  const skip = (detail: string) =>
    tell(run, {
      group: 'loss',
      title: `loss of one of the ${what}`,
      outcome: 'not tried',
      seconds: 0,
      detail,
    });
  const unserved = targets.find((target) => !served.has(nameTarget(target)));
  if (unserved) return skip(`${nameTarget(unserved)} does not answer with all of them there`);
  const unready = await waitAllReady(run, pair.nodes);
  if (unready !== '') return skip(unready);
  const victim = await chooseVictim(run, pair, targets[0]);
  if (victim === undefined)
    return skip(`nobody of ${pair.nodes.join(', ')} has ${targets[0]?.address}`);

  const watch = await watchTargets(run, targets);
  try {
    const unsteady = await waitAnswers(targets, watch.read, steadyTime(run));
    if (unsteady.size > 0)
      return skip('its services do not answer steadily with all of them there');
    const lost = Date.now();
    await power(run, victim, 'off', what);
    const late = await waitAnswers(targets, watch.read, 5);
    const title = `loss of ${victim}, one of the ${what}`;
    const report = await describe(watch.read, targets, lost - 500);
    tell(run, {
      group: 'loss',
      title,
      outcome: late.size === 0 ? 'passed' : 'failed',
      seconds: since(lost),
      detail: late.size === 0 ? report.text : `not served after ${comeBack} s: ${report.text}`,
    });

    const back = Date.now();
    await power(run, victim, 'on', what);
    const reason = await waitReady(run, victim, back);
    await sleep(10_000);
    const after = await describe(watch.read, targets, back);
    const good = reason === '' && after.longest < returnLimit(run) * 1_000;
    tell(run, {
      group: 'loss',
      title: `return of ${victim}, one of the ${what}`,
      outcome: good ? 'passed' : 'failed',
      seconds: since(back),
      detail: reason === '' ? after.text : `it is not ready: ${reason}; ${after.text}`,
    });
  } finally {
    await watch.stop();
  }
}

/** What clients noticed since `from`, the worst of all targets in front. */
async function describe(
  read: () => Promise<ReadonlyMap<Target, readonly Sample[]>>,
  targets: readonly Target[],
  from: number,
): Promise<{ readonly text: string; readonly longest: number }> {
  const samples = await read();
  // What was asked in the last seconds may still wait for its answer.
  const to = Math.max(...[...samples.values()].flatMap((own) => own.map((s) => s.at + s.took)));
  const all = targets
    .map((target) => ({ target, ...measureOutage(samples.get(target) ?? [], from, to) }))
    .sort((a, b) => b.longest - a.longest);
  const texts = all.map(({ target, longest, asked, inVain, problem }) => {
    const why = inVain > 0 ? ` (${problem})` : '';
    return `${nameTarget(target)} ${(longest / 1_000).toFixed(1)} s without an answer, ${inVain} of ${asked} in vain${why}`;
  });
  return { text: texts.join('; '), longest: all[0]?.longest ?? 0 };
}

/** Of balancers the one that has the address now; of servers the first. */
async function chooseVictim(
  run: Run,
  pair: Pair,
  target: Target | undefined,
): Promise<string | undefined> {
  if (pair.kind === 'servers') return pair.nodes[0];
  for (const node of pair.nodes) {
    const shown = await run.lab.ssh(node, 'ip -oneline -4 address show').catch(() => '');
    if (shown.includes(` ${target?.address}/`)) return node;
  }
  return undefined;
}

function oneForEachAddress(targets: readonly Target[]): readonly Target[] {
  return targets.filter((t, i) => targets.findIndex((o) => o.address === t.address) === i);
}

/** Copies what the machines said on their consoles, and the boot server's log, into a folder, so that they outlive the lab. */
export async function keepConsoles(lab: Scenario, names: readonly string[], folder: string) {
  await mkdir(folder, { recursive: true });
  for (const name of names) {
    await writeFile(join(folder, `${name}.log`), await lab.console(name).catch(() => ''));
  }
  const served = await readFile(lab.lab.folder.serverLog, 'utf8').catch(() => '');
  await writeFile(join(folder, 'boot-server.log'), served);
}
