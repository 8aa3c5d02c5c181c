import { type Digest, digestOfValue } from '../digest.ts';
import type { ImageDefinition } from './image-definition.ts';
import { isOf, type LockedPackage, type PackageLock, type WantedPackages } from './package-lock.ts';

/** What a build does, in order; `needs` are the steps whose output it reads. */
export type Step = {
  /** Its kind, and a number where a plan has several. */
  readonly id: StepId;
  /** Digest of the inputs: equal keys, equal output. */
  readonly key: Digest;
  readonly needs: readonly StepId[];
  /** All that decides the output, by a name that an operator understands. */
  readonly inputs: StepInputs;
} & StepWork;

export type StepId = StepKind | `packages-${number}`;
export type StepInputs = Readonly<Record<string, unknown>>;

export type StepWork =
  | {
      /** Makes a root of the lock's first group. */
      readonly kind: 'bootstrap';
      readonly suite: string;
      readonly architecture: string;
      readonly variant: 'minbase' | 'extract';
      readonly packages: readonly LockedPackage[];
      readonly answers: readonly string[];
      /** SOURCE_DATE_EPOCH in seconds. */
      readonly epoch: number;
    }
  | {
      /** Adds a further group to a root. */
      readonly kind: 'packages';
      readonly from: StepId;
      readonly asked: readonly string[];
      readonly suite: string;
      readonly variant: 'minbase' | 'extract';
      readonly packages: readonly LockedPackage[];
      readonly epoch: number;
    }
  | { readonly kind: 'kernel'; readonly from: StepId }
  | {
      readonly kind: 'squash';
      readonly from: StepId;
      readonly paths: readonly string[];
      readonly modules: readonly string[];
      readonly epoch: number;
    }
  | { readonly kind: 'facts'; readonly from: StepId }
  | { readonly kind: 'initramfs'; readonly from: StepId; readonly guestDir: string }
  | {
      readonly kind: 'loaders';
      readonly suite: string;
      readonly loaders: Readonly<Record<string, LockedLoader>>;
    }
  | {
      readonly kind: 'assemble';
      readonly name: string;
      /** Names of the loaders, sorted. */
      readonly loaders: readonly string[];
      readonly suite: string;
      readonly architecture: string;
    };

/** A file of a package. */
export interface LockedLoader {
  readonly package: LockedPackage;
  readonly path: string;
}

export type StepKind = StepWork['kind'];

/** Of a step kind, its data. */
export type StepOf<K extends StepKind> = Extract<Step, { readonly kind: K }>;

/** What the plan has to know of the world besides the definition. */
export interface BuildFacts {
  readonly lock: PackageLock;
  /** First line of `--version` by program. */
  readonly tools: Readonly<Record<'mmdebstrap' | 'mksquashfs', string>>;
  /** Folder of the guest's scripts, and a digest of what is in it. */
  readonly guestDir: string;
  readonly guest: Digest;
  /** Digest of the program text that performs each step. */
  readonly program: Readonly<Record<StepKind, Digest>>;
}

/** What the image asks for: kernel, packages, the roles' packages, and those that loaders are taken from. */
export function wantedPackages(
  definition: ImageDefinition,
  architecture: 'amd64' | 'arm64',
  rolePackages: readonly string[],
): WantedPackages {
  const { suite, variant, loaders } = definition;
  const kernel = definition.kernel[architecture];
  const wanted = [
    ...(kernel ? [kernel] : []),
    ...definition.packages,
    ...(definition.rolePackages ? rolePackages : []),
  ];
  const sources = Object.values(loaders).map(
    (l) => `${l.package}:${l.architecture ?? architecture}`,
  );
  return {
    ...{ suite, architecture, variant },
    packages: [...new Set(wanted)].sort(),
    loaders: [...new Set(sources)].sort(),
  };
}

/**
 * The steps from a definition and its locked packages to a manifest, each with its cache key.
 * No key depends on a mirror's address, a folder's name or the time.
 */
export function planBuild(definition: ImageDefinition, facts: BuildFacts): Step[] {
  const { lock, tools } = facts;
  const { suite, architecture, variant } = lock;
  const epoch = Math.floor(definition.date.getTime() / 1000);
  const { name, answers, prune } = definition;
  const steps: Step[] = [];
  const add = (id: StepId, needs: readonly StepId[], work: StepWork, more: StepInputs = {}) => {
    const base = 'from' in work ? work.from : undefined;
    const before = needs.map((need) => [
      need === base ? 'root' : `output of ${need}`,
      steps.find((s) => s.id === need)?.key,
    ]);
    const inputs = {
      ...inputsOf(work),
      ...more,
      'program text of the step': facts.program[work.kind],
      ...Object.fromEntries(before),
    };
    steps.push({ ...work, id, needs, inputs, key: digestOfValue([work.kind, inputs]) });
    return id;
  };
  const [first = { packages: [] }, ...further] = lock.groups;
  let from = add(
    'bootstrap',
    [],
    {
      ...{ kind: 'bootstrap', suite, architecture, variant, answers, epoch },
      packages: first.packages,
    },
    { mmdebstrap: tools.mmdebstrap },
  );
  for (const [at, { asked, packages }] of further.entries()) {
    // What was asked for had come already with something else.
    if (packages.length === 0) continue;
    from = add(`packages-${at + 2}`, [from], {
      ...{ kind: 'packages', from, asked, suite, variant, packages, epoch },
    });
  }
  add('kernel', [from], { kind: 'kernel', from });
  const squash = add(
    'squash',
    [from],
    { kind: 'squash', from, paths: prune.paths, modules: prune.modules, epoch },
    { mksquashfs: tools.mksquashfs },
  );
  add('facts', [squash], { kind: 'facts', from: squash });
  add(
    'initramfs',
    [squash],
    { kind: 'initramfs', from: squash, guestDir: facts.guestDir },
    { 'scripts of the guest': facts.guest },
  );
  add('loaders', [], { kind: 'loaders', suite, loaders: lockedLoaders(definition, lock) });
  add('assemble', ['facts', 'kernel', 'initramfs', 'squash', 'loaders'], {
    kind: 'assemble',
    name,
    loaders: Object.keys(definition.loaders).sort(),
    suite,
    architecture,
  });
  return steps;
}

/** What of the work decides its output: not where something is, nor in which step's name. */
function inputsOf(work: StepWork): StepInputs {
  const { kind: _kind, ...all } = work;
  const places: readonly string[] = ['from', 'asked', 'guestDir'];
  const decides = Object.entries(all).filter(([name]) => !places.includes(name));
  return Object.fromEntries(
    decides.map(([name, value]) => {
      if (name === 'packages') return [name, (value as LockedPackage[]).map(packageLine)];
      if (work.kind !== 'loaders' || name !== 'loaders') return [name, value];
      const files = Object.entries(work.loaders);
      return [name, files.map(([file, l]) => `${file} ${l.path} ${packageLine(l.package)}`)];
    }),
  );
}

function packageLine({ name, version, architecture, digest }: LockedPackage): string {
  return `${name} ${version} ${architecture} ${digest}`;
}

function lockedLoaders(
  { loaders }: ImageDefinition,
  lock: PackageLock,
): Readonly<Record<string, LockedLoader>> {
  const found = Object.entries(loaders).map(([name, { package: of, architecture, path }]) => {
    const asked = `${of}:${architecture ?? lock.architecture}`;
    const locked = lock.loaders.packages.find((p) => isOf(asked, p));
    if (!locked) throw new Error(`the lock holds no ${asked}`);
    return [name, { package: locked, path }] as const;
  });
  return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The packages whose files the step reads. */
export function packagesOf(step: Step): readonly LockedPackage[] {
  if (step.kind === 'bootstrap' || step.kind === 'packages') return step.packages;
  if (step.kind !== 'loaders') return [];
  return [...new Set(Object.values(step.loaders).map((loader) => loader.package))];
}

/** What a step does, in words for an operator. */
export function describeStep(step: Step): string {
  switch (step.kind) {
    case 'bootstrap':
      return `install ${step.packages.length} packages of ${step.suite} ${step.architecture}`;
    case 'packages':
      return `add ${step.asked.join(', ')} (${step.packages.length} packages)`;
    case 'kernel':
      return 'take the kernel';
    case 'squash':
      return 'remove what no server needs and what names this place or time, pack the root (zstd-3)';
    case 'facts':
      return 'list packages, units, users';
    case 'initramfs':
      return 'pack the initramfs';
    case 'loaders':
      return `take the loaders ${Object.keys(step.loaders).join(', ')}`;
    case 'assemble':
      return 'put the image into the store';
  }
}
