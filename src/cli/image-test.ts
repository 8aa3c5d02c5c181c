import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { spareName } from '../boot/identify-machine.ts';
import { nodeArchitecture } from '../boot/node-architecture.ts';
import type { Digest } from '../digest.ts';
import { AppError } from '../errors.ts';
import { type ImageStore, openImageStore, type StoredImage } from '../images/image-store.ts';
import { type ImageTests, mergeTests, parseImageTests } from '../images/image-tests.ts';
import { useImages } from '../images/image-use.ts';
import { wantedRoles } from '../images/judge-image.ts';
import { acceleratorMemory, chooseAccelerator } from '../lab/accelerator.ts';
import { isLabRunning } from '../lab/control.ts';
import { labFolder } from '../lab/lab-folder.ts';
import { availableMemory, planMemory } from '../lab/memory-budget.ts';
import type { Accelerator } from '../lab/qemu-args.ts';
import { defaultMemory, planGuests, spareMac } from '../lab/vm-spec.ts';
import { type ScenarioOptions, withLab } from '../lab/with-lab.ts';
import { adaptSite } from '../rehearsal/adapt-site.ts';
import { lendRoles } from '../rehearsal/lend-roles.ts';
import {
  type ImageTestPlan,
  packRounds,
  planImageTest,
  shownRoles,
  type TestRound,
} from '../rehearsal/plan-image-test.ts';
import { renderResult, renderSum } from '../rehearsal/render-report.ts';
import { clearReport, consolesOf, writeReport } from '../rehearsal/report-folder.ts';
import type { ProofResult, Rehearsal } from '../rehearsal/result.ts';
import { verdictsOf } from '../rehearsal/role-verdicts.ts';
import { type RoundFindings, runImageTest } from '../rehearsal/run-image-test.ts';
import { keepConsoles } from '../rehearsal/run-rehearsal.ts';
import { renderProblems } from '../render-problems.ts';
import type { Fleet } from '../roles/fleet.ts';
import { loadFleet } from '../roles/load-fleet.ts';
import { loadSite } from '../site/load-site.ts';
import { type GlobalOptions, say } from './command.ts';
import { findImage, imageWord, refuseDamaged, shortDigest } from './find-image.ts';
import { withControl } from './lab-control.ts';
import { parseAccelerator, parseCount, splitNames } from './lab-options.ts';

interface TestOptions {
  readonly only?: string;
  readonly keep?: boolean;
  readonly memory: string;
  readonly accel?: string;
  readonly report?: string;
}

/** Where the lab of an image test lives while it runs. */
export const imageTestRoot = (state: string): string =>
  join(labFolder(join(state, 'lab')).root, 'image-test');

/** `image test`: boots an image in QEMU in each role that the site uses. */
export function registerTest(image: Command, globals: () => GlobalOptions): void {
  image
    .command('test')
    .description(
      'boot an image in QEMU in each role that the site uses, run the ready commands, note the outcome',
    )
    .argument('[image]', imageWord, 'universal')
    .option('--only <roles>', 'only these roles, separated by commas')
    .option('--keep', 'leave the machines on afterwards, to look around')
    .option('--memory <MiB>', 'memory of a guest with one role', String(defaultMemory))
    .option('--accel <kvm|tcg>', 'how guests run; KVM where a try shows that it boots, else TCG')
    .option('--report <dir>', 'folder for report.html, timeline.svg, junit.xml and consoles/')
    .action((word: string, options: TestOptions) => testImage(globals(), word, options));
}

/** One image test as it goes on. */
interface Session {
  readonly globals: GlobalOptions;
  readonly fleet: Fleet;
  readonly image: StoredImage;
  /** Digests of the images that the lab's boot server has. */
  readonly boot: readonly [Digest, ...Digest[]];
  readonly plan: ImageTestPlan;
  readonly memory: number;
  readonly accelerator: Accelerator;
  readonly report: string;
  readonly keep: boolean;
  readonly notes: string[];
  readonly onResult: (result: ProofResult) => void;
}

async function testImage(globals: GlobalOptions, word: string, options: TestOptions) {
  const { site: dir, state, json } = globals;
  const wishes = {
    accelerator: parseAccelerator(options.accel),
    memory: parseCount('--memory', options.memory, 64),
    only: splitNames(options.only),
  };
  const root = imageTestRoot(state);
  if (await isLabRunning(root)) {
    throw new AppError('lab-running', 'an image test is running', 'rolecall lab down');
  }
  const report = resolve(options.report ?? join(state, 'lab/image-test-report'));
  await clearReport(report);
  const loaded = await loadFleet(dir);
  if (!loaded.ok) {
    throw new AppError('invalid-site', renderProblems(loaded.problems), 'rolecall check');
  }
  const fleet = loaded.value;
  const store = openImageStore(state);
  const image = await findImage(store, word);
  const { name, architecture } = image.manifest;
  if (architecture !== nodeArchitecture) {
    throw new AppError(
      'usage',
      `the lab has no ${architecture} machines`,
      `an ${nodeArchitecture} image`,
    );
  }
  const boot = await imagesOfLab(store, image);
  // A build or a gc meanwhile must not take it from under the machines.
  const use = await useImages(state, boot);
  try {
    await refuseDamaged(store, image);
    refuseUnusedRoles(fleet, name, wishes.only);
    const plan = planImageTest(fleet, name, wishes.only);
    const notes: string[] = [];
    const kernel = store.blobPath(image.manifest.kernel.digest);
    const choice = wishes.accelerator
      ? { accelerator: wishes.accelerator, reason: 'as you asked' }
      : await chooseAccelerator(kernel, acceleratorMemory(labFolder(join(state, 'lab')).builds));
    notes.push(`guests ran under ${choice.accelerator.toUpperCase()}: ${choice.reason}`);
    await runSession(store, {
      ...{ globals, fleet, image, boot, plan, notes },
      ...{ memory: wishes.memory, accelerator: choice.accelerator },
      report,
      keep: options.keep === true,
      onResult: (result) => {
        if (!json) say(renderResult(result));
      },
    });
  } finally {
    // The process ends no sooner.
    await use.release();
  }
}

async function runSession(store: ImageStore, session: Session): Promise<void> {
  const { image } = session;
  const rehearsal = await runRounds(session);
  await writeReport(rehearsal.report, session.report);
  const tests = verdictsOf(session.fleet, image.manifest.name, rehearsal.roles);
  await store.changeNote(image.digest, 'tests', (before) =>
    mergeTests(parseImageTests(before), tests),
  );
  conclude(session, rehearsal.report, tests);
}

/** The image under test, and `universal` where it is another: from there come the loaders. */
async function imagesOfLab(store: ImageStore, image: StoredImage): Promise<Session['boot']> {
  if (image.manifest.name === 'universal') return [image.digest];
  const universal =
    (await store.resolve('universal', nodeArchitecture)) ??
    (await store.resolve('universal', nodeArchitecture, 'built'));
  if (universal) return [image.digest, universal.digest];
  throw new AppError(
    'no-such-image',
    'the loaders of all machines come from the image universal, and there is none',
    'rolecall build',
  );
}

function refuseUnusedRoles(fleet: Fleet, image: string, only: readonly string[] | undefined): void {
  const used = wantedRoles(fleet, image).map((role) => role.name);
  if (used.length === 0) {
    throw new AppError(
      'usage',
      `no machine of the site boots the image ${image}`,
      `image: ${image} in a role file`,
    );
  }
  const unknown = only?.filter((role) => !used.includes(role)) ?? [];
  if (unknown.length === 0) return;
  throw new AppError(
    'usage',
    `--only ${unknown.join(',')}: no machine of the site has that role with the image ${image}`,
    `it has ${used.join(', ')}`,
  );
}

/** Boots round after round, as many machines at a time as the memory carries. */
async function runRounds(session: Session) {
  const { fleet, plan, image, notes, onResult, globals } = session;
  const available = await availableMemory();
  const { rounds, left } = packRounds(plan.units, (round) => {
    const wanted = planGuests(fleet.site, guestWishes(session, round));
    return planMemory(wanted, available, session.accelerator).left.length === 0;
  });
  const untried = [
    ...plan.untried,
    ...left.flatMap(({ proves, guests }) =>
      proves.map((role) => ({
        role,
        reason: `${guests.join(', ') || 'a spare'} must run at once, and ${available} MiB of memory are free`,
      })),
    ),
  ];
  const machines = rounds.map(({ guests, spare }) => guests.length + (spare ? 1 : 0));
  if (!globals.json) {
    say(`${image.manifest.name} ${shortDigest(image)}: ${describeRounds(machines)}`);
    for (const note of notes) say(note);
  }
  const start = Date.now();
  const found: RoundFindings[] = [];
  for (const [i, round] of rounds.entries()) {
    const last = i === rounds.length - 1;
    found.push(await runRound(session, round, session.keep && last));
  }
  const skipped = untried.map(
    ({ role, reason }): ProofResult => ({
      ...{
        group: 'role',
        title: `${role} works`,
        outcome: 'not tried',
        seconds: 0,
        detail: reason,
      },
    }),
  );
  for (const result of skipped) onResult(result);
  const report: Rehearsal = {
    site: fleet.site.name,
    title: `Test of ${image.manifest.name} ${shortDigest(image)} in the roles of ${fleet.site.name}`,
    ...{ start, end: Date.now(), notes },
    results: [...found.flatMap((one) => one.results), ...skipped],
    lanes: found.flatMap((one) => one.lanes),
    marks: found.flatMap((one) => one.marks),
  };
  return {
    report,
    roles: [
      ...found.flatMap((one) => one.roles),
      ...untried.map(({ role, reason }) => ({ role, guest: '', problem: reason })),
    ],
  };
}

function describeRounds(machines: readonly number[]): string {
  const all = machines.reduce((sum, n) => sum + n, 0);
  const what = all === 1 ? '1 machine' : `${all} machines`;
  return machines.length < 2
    ? `${what} to boot`
    : `${what} to boot, ${machines.join(' and then ')}`;
}

const spare = spareName(spareMac(0));

/** MiB more for each role that a guest has besides its first. */
const memoryPerRole = 128;

function guestWishes({ plan, fleet, memory }: Session, round: TestRound) {
  const chosen = plan.guests.filter((guest) => round.guests.includes(guest.node));
  const roles = (guest: (typeof chosen)[number]) =>
    shownRoles(guest, fleet.site).flatMap((name) => fleet.roles.get(name) ?? []);
  const volumesOf = (node: string) =>
    [...fleet.site.volumes.values()].filter((volume) => volume.nodes.includes(node)).length;
  const memoryOf = (guest: (typeof chosen)[number]) =>
    Math.max(
      memory + memoryPerRole * (Math.max(1, guest.roles.length) - 1),
      ...roles(guest).map((role) => role.needs.memory ?? 0),
    );
  const disksOf = (guest: (typeof chosen)[number]) =>
    Math.max(0, ...roles(guest).map((role) => (role.needs.disks ?? 0) - volumesOf(guest.node)));
  const names = [...round.guests, ...(round.spare ? [spare] : [])];
  return {
    only: names,
    spares: round.spare ? 1 : 0,
    // Both firmwares, where there are two machines.
    uefi: names.filter((_, i) => i % 2 === 1),
    memory,
    hardware: Object.fromEntries(chosen.map((guest) => [guest.node, { memory: memoryOf(guest) }])),
    spareDisks: Object.fromEntries(chosen.map((guest) => [guest.node, disksOf(guest)])),
  };
}

async function runRound(session: Session, round: TestRound, keep: boolean): Promise<RoundFindings> {
  const { globals, fleet, plan, image, boot, notes, onResult } = session;
  const guests = plan.guests.filter((guest) => round.guests.includes(guest.node));
  const tested = [
    ...guests.map((guest) => ({ name: guest.node, roles: shownRoles(guest, fleet.site) })),
    ...(round.spare ? [{ name: spare, roles: ['base', 'spare'] }] : []),
  ];
  const options: ScenarioOptions = {
    name: `test of ${image.manifest.name}`,
    images: globals.state,
    boot,
    site: globals.site,
    edit: async (copy) => {
      const told = [
        ...(await adaptSite(copy, { spares: round.spare })),
        ...(await lendRoles(copy, guests)),
      ];
      for (const note of told.filter((one) => !notes.includes(one))) {
        notes.push(note);
        if (!globals.json) say(note);
      }
    },
    ...guestWishes(session, round),
    accelerator: session.accelerator,
    folder: imageTestRoot(globals.state),
    report: (line) => process.stderr.write(`${line}\n`),
  };
  return withLab(options, (lab) =>
    withControl(lab, async (lookAround) => {
      const start = Date.now();
      // The copy, in which some machines stand in for others.
      const played = await loadSite(lab.site);
      if (!played.ok) throw new AppError('invalid-site', renderProblems(played.problems));
      const found = await runImageTest(lab, played.value, tested, start, onResult);
      const consoles = consolesOf(session.report);
      await keepConsoles(
        lab,
        tested.map((guest) => guest.name),
        consoles,
      );
      if (keep) await lookAround(globals.state);
      return found;
    }),
  );
}

function conclude({ globals, image, report }: Session, rehearsal: Rehearsal, tests: ImageTests) {
  const roles = Object.entries(tests.roles);
  const bad = roles.filter(([, verdict]) => verdict.outcome !== 'passed');
  if (globals.json) {
    say(JSON.stringify([{ digest: image.digest, tests, results: rehearsal.results }], null, 2));
  } else {
    say(`\n${renderSum(rehearsal.results)}; the report is ${join(report, 'report.html')}`);
  }
  if (bad.length > 0) {
    throw new AppError(
      'image-test-failed',
      `${image.manifest.name} ${shortDigest(image)} did not pass: ${bad.map(([name, { outcome, detail }]) => `${name} ${outcome}: ${detail}`).join('; ')}`,
      `consoles are in ${consolesOf(report)}`,
    );
  }
  if (!globals.json) {
    say(
      `${image.manifest.name} ${shortDigest(image)} passed as ${roles.map(([name]) => name).join(', ')}`,
    );
    say(`rolecall image publish ${shortDigest(image)} lets nodes boot it`);
  }
}
