import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { nodeArchitecture } from '../boot/node-architecture.ts';
import type { ImageDefinition } from '../images/image-definition.ts';
import { loadImageDefinition } from '../images/load-image-definition.ts';
import { writeLocalRepository } from '../images/local-repository.ts';
import { readLockFile, siteLockFile } from '../images/lock-file.ts';
import { openPackageCache } from '../images/package-cache.ts';
import type { LockedPackage } from '../images/package-lock.ts';
import { packagesFolder } from '../images/package-supply.ts';
import { installEnvironment } from '../images/run-in-root.ts';
import type { Benchmark } from './benchmark.ts';
import { compare, type Figure, round } from './figure.ts';
import { median } from './median.ts';
import { needPeers } from './need-peers.ts';
import { type TimedRun, timeProgram } from './time-program.ts';

const rounds = 2;
/** How often a build with nothing to do is typed in each round. */
const noOps = 3;

/** Small, has no dependency that the image lacks, and no role asks for it. */
const added = 'tree';

const rolecall = join(import.meta.dirname, '../../bin/rolecall');

export const build: Benchmark = {
  name: 'build',
  about:
    'the shipped image: cold, with nothing changed, a role changed, a package added; beside bare mmdebstrap + mksquashfs',
  async run(report) {
    await needPeers('mmdebstrap', 'mksquashfs', 'perl');
    const folder = await mkdtemp(join(tmpdir(), 'rolecall-bench-'));
    try {
      const place = await prepare(folder, report);
      const runs: Record<Case, TimedRun[]> = { bare: [], cold: [], none: [], role: [], more: [] };
      for (let n = 1; n <= rounds; n += 1) {
        // By turns, so that what else the machine does meets both.
        runs.bare.push(await buildBare(place));
        runs.cold.push(await buildCold(place));
        for (let again = 0; again < noOps; again += 1) runs.none.push(await typeLocked(place));
        await writeRole(place.site, `round ${n}`);
        runs.role.push(await typeLocked(place));
        runs.more.push(await addPackage(place));
        report(`round ${n} of ${rounds}: ${describeLast(runs)}`);
      }
      return figuresOf(runs);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

type Case = 'bare' | 'cold' | 'none' | 'role' | 'more';

interface Place {
  readonly site: string;
  readonly state: string;
  /** Folder that holds every package that any of the builds wants. */
  readonly packages: string;
  readonly definition: ImageDefinition;
  /** The lock of the image as it ships. */
  readonly lock: { readonly file: string; readonly text: string };
  /** A repository of the same packages for the peer, and their names. */
  readonly repository: string;
  readonly names: readonly string[];
  readonly bare: string;
}

/** Fetches all that will be installed, so that no run waits for a mirror's packages. */
async function prepare(folder: string, report: (line: string) => void): Promise<Place> {
  const [site, state] = [join(folder, 'site'), join(folder, 'state')];
  const packages = join(folder, 'packages');
  await writeRole(site, 'before');
  const loaded = await loadImageDefinition(site, 'universal');
  if (!loaded.ok) throw new Error('the shipped image definition cannot be read');
  report('fetching packages, with a build that is not counted');
  await typeBuild({ site, state });
  const file = siteLockFile(site, 'universal', nodeArchitecture);
  const lock = { file, text: await readFile(file, 'utf8') };
  const held = await readLockFile(file);
  const installed: LockedPackage[] = (held?.groups ?? []).flatMap((group) => group.packages);
  await addPackage({ site, state, lock });
  await cp(packagesFolder(join(state, 'apt-cache')), packages, { recursive: true });
  const repository = join(folder, 'repository');
  await writeLocalRepository(
    repository,
    loaded.value.suite,
    installed,
    openPackageCache(packagesFolder(join(state, 'apt-cache'))),
  );
  const names = installed.map(({ name }) => name);
  const bare = join(folder, 'bare');
  return { ...{ site, state, packages, lock, repository, names, bare }, definition: loaded.value };
}

/** A role of the site whose one file says that. */
async function writeRole(site: string, text: string): Promise<void> {
  const role = join(site, 'roles/bench');
  await mkdir(join(role, 'files/etc'), { recursive: true });
  await writeFile(
    join(role, 'role.yaml'),
    'summary: a role that is edited\nready: test -f /etc/bench\n',
  );
  await writeFile(join(role, 'files/etc/bench'), `${text}\n`);
}

/** `rolecall build`, as an operator types it. */
function typeBuild({ site, state }: Pick<Place, 'site' | 'state'>): Promise<TimedRun> {
  return timeProgram(rolecall, ['--site', site, '--state', state, 'build']);
}

/** `rolecall build --locked`, as a CI types it. */
function typeLocked({ site, state }: Pick<Place, 'site' | 'state'>): Promise<TimedRun> {
  return timeProgram(rolecall, ['--site', site, '--state', state, 'build', '--locked']);
}

/** Nothing kept but packages and the lock. */
async function buildCold(place: Place): Promise<TimedRun> {
  const { state, packages, lock } = place;
  await rm(state, { recursive: true, force: true });
  await cp(packages, packagesFolder(join(state, 'apt-cache')), { recursive: true });
  await writeFile(lock.file, lock.text);
  const run = await typeLocked(place);
  if (stepsOf(run).length === 0) {
    throw new Error(`a build from nothing did no step; what it said:\n${run.said}`);
  }
  return run;
}

/** The site's own definition of the image, with one package more; afterwards it and the lock are as before. */
async function addPackage(place: Pick<Place, 'site' | 'state' | 'lock'>): Promise<TimedRun> {
  const shipped = join(import.meta.dirname, '../../images/universal.yaml');
  const own = join(place.site, 'images/universal.yaml');
  const text = await readFile(shipped, 'utf8');
  await mkdir(dirname(own), { recursive: true });
  await writeFile(own, text.replace(/^packages:\n/m, `packages:\n  - ${added}\n`));
  const run = await typeBuild(place);
  await rm(own);
  await writeFile(place.lock.file, place.lock.text);
  return run;
}

/**
 * The same packages from this machine's disk, in one go, packed with the same compression. It is told as we are not
 * to sync each file: without that it would wait for the disk, and the comparison be one of disks.
 */
async function buildBare(place: Place): Promise<TimedRun> {
  const { bare, repository, names, definition } = place;
  const { suite, variant, date, compression } = definition;
  await rm(bare, { recursive: true, force: true });
  await mkdir(bare, { recursive: true });
  const [root, packed] = [join(bare, 'root'), join(bare, 'root.squashfs')];
  const env = installEnvironment(date.getTime() / 1000);
  // What it mounts goes with it, however it ends.
  const alone = ['--mount', '--pid', '--fork', '--kill-child=KILL', '--mount-proc', '--'];
  const installed = await timeProgram(
    'unshare',
    [
      ...[...alone, 'mmdebstrap'],
      ...['--mode', 'root', '--format', 'directory', '--variant', variant, '--quiet'],
      ...['--architectures', nodeArchitecture, '--include', names.join(',')],
      ...['--aptopt', 'APT::Sandbox::User "root"', '--dpkgopt', 'force-unsafe-io'],
      ...['--skip', 'output/dev'],
      ...[suite, root, `deb [trusted=yes] copy:${repository} ./`],
    ],
    env,
  );
  const level =
    compression.level === undefined ? [] : ['-Xcompression-level', String(compression.level)];
  const packing = await timeProgram(
    'mksquashfs',
    [root, packed, '-noappend', '-no-progress', '-quiet', '-comp', compression.type, ...level],
    env,
  );
  await rm(bare, { recursive: true });
  return {
    seconds: installed.seconds + packing.seconds,
    cpu: installed.cpu + packing.cpu,
    said: '',
  };
}

const whatOf = {
  cold: 'build of the shipped image, cold',
  none: 'build with nothing changed',
  role: "build after a role's file was edited",
  more: `build after one package (${added}) was added`,
} satisfies Partial<Record<Case, string>>;

function figuresOf(runs: Readonly<Record<Case, readonly TimedRun[]>>): Figure[] {
  const seconds = (of: Case) => round(median(runs[of].map((run) => run.seconds)));
  const cpu = (of: Case) => round(median(runs[of].map((run) => run.cpu)));
  return (['cold', 'none', 'role', 'more'] as const).map((of) => {
    const share =
      of === 'cold' ? [] : [`${(seconds(of) / seconds('cold')).toFixed(3)} of our cold`];
    return compare(
      {
        what: whatOf[of],
        ours: seconds(of),
        peer: seconds('bare'),
        peerName: 'bare mmdebstrap + mksquashfs, all of it again',
        unit: 's',
        bound: [
          ...share,
          `median of ${runs[of].length}, ${spreadOf(runs[of])}`,
          `processor ${cpu(of)} s, bare ${cpu('bare')} s`,
          ...longestSteps(runs[of].at(-1)),
        ].join('; '),
      },
      'less',
    );
  });
}

function spreadOf(runs: readonly TimedRun[]): string {
  const all = runs.map((run) => run.seconds);
  return `${round(Math.min(...all))} to ${round(Math.max(...all))} s`;
}

/** The steps that took longest, as the build itself said. */
function longestSteps(run: TimedRun | undefined): string[] {
  const steps = stepsOf(run)
    .sort((a, b) => b.seconds - a.seconds)
    .slice(0, 3)
    .map(({ what, seconds }) => `${what} ${seconds} s`);
  return steps.length === 0 ? [] : [`longest steps: ${steps.join(', ')}`];
}

/** The steps that were done and not taken from the cache. */
function stepsOf(run: TimedRun | undefined): { readonly what: string; readonly seconds: number }[] {
  return [...(run?.said ?? '').matchAll(/^\[\d+\/\d+\] (.*): done in ([\d.]+) s$/gm)].map(
    ([, what = '', seconds = '']) => ({ what: what.slice(0, 40), seconds: Number(seconds) }),
  );
}

function describeLast(runs: Readonly<Record<Case, readonly TimedRun[]>>): string {
  return Object.entries(runs)
    .map(([of, all]) => `${of} ${round(all.at(-1)?.seconds ?? 0)} s`)
    .join(', ');
}
