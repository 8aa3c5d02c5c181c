import { basename } from 'node:path';
import { type Digest, digestOfValue } from '../digest.ts';
import type { Architecture } from './distributions/distribution.ts';
import { prunedModules } from './hardware-class.ts';
import type { Compression, ImageContents, ImageDefinition } from './image-definition.ts';
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
  /** Its output is not kept, as packing it takes longer than making it again where a later step reads it. */
  readonly passing?: true;
} & StepWork;

export type StepId = StepKind | `${'packages' | 'customize' | 'layer'}-${number}`;
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
  | ({
      /** Makes accounts, copies files, runs hooks. */
      readonly kind: 'customize';
      readonly from: StepId;
      readonly locale: string | undefined;
      readonly epoch: number;
    } & Pick<ImageContents, 'users' | 'files' | 'hooks'>)
  | { readonly kind: 'kernel'; readonly from: StepId }
  | ({ readonly kind: 'squash'; readonly from: StepId } & Packing)
  | ({
      /** Packs what is different in a root that was made from another one. */
      readonly kind: 'layer';
      readonly from: StepId;
      /** The squash or the layer below. */
      readonly below: StepId;
    } & Packing)
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
      /** What the root is stacked of, the lowest first. */
      readonly layers: readonly StepId[];
      /** Names of the loaders, sorted. */
      readonly loaders: readonly string[];
      readonly suite: string;
      readonly architecture: string;
    };

/** How a root is trimmed and packed. */
interface Packing {
  readonly paths: readonly string[];
  readonly modules: readonly string[];
  readonly compression: Compression;
  readonly epoch: number;
}

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
  /** Of the image and of those that it extends: theirs are its first groups. */
  readonly lock: PackageLock;
  /** Of each image that it extends, the lowest first: how many of the groups are its and of those below it. */
  readonly groups: readonly number[];
  /** Of each image, the lowest first: digest of the files that it copies and of its hooks. */
  readonly brought: readonly Digest[];
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
  architecture: Architecture,
  rolePackages: readonly string[],
): WantedPackages {
  const { suite, variant, loaders } = definition;
  const wanted = chainOf(definition).flatMap((image) => [
    ...(image.parent ? [] : basePackages(image, architecture)),
    ...image.packages,
    ...(image.rolePackages ? rolePackages : []),
  ]);
  const sources = Object.values(loaders).map(
    (l) => `${l.package}:${l.architecture ?? architecture}`,
  );
  return {
    ...{ suite, architecture, variant },
    packages: [...new Set(wanted)].sort(),
    loaders: [...new Set(sources)].sort(),
  };
}

function basePackages(image: ImageDefinition, architecture: Architecture): readonly string[] {
  const { kernel, locale, distribution } = image;
  return [
    kernel[architecture] ?? [],
    locale === undefined ? [] : distribution.locales,
    firmwarePackages(image, architecture),
  ].flat();
}

/** Packages of firmware and microcode for the hardware of the image; not every mirror has them. */
export function firmwarePackages(
  { hardware, distribution }: ImageDefinition,
  architecture: Architecture,
): readonly string[] {
  const of = hardware.firmware.flatMap((kind) => distribution.firmware[kind]?.[architecture] ?? []);
  return [...new Set(of)].sort();
}

/** The image and those that it extends, the lowest first. */
export function chainOf(definition: ImageDefinition): readonly ImageDefinition[] {
  return definition.parent ? [...chainOf(definition.parent), definition] : [definition];
}

/** So many packages on top of a kept root are installed again rather than kept in a root of their own. */
const fewPackages = 10;

/**
 * The steps from a definition and its locked packages to a manifest, each with its cache key. The steps of an
 * image that is extended are those that it has when it is built alone.
 * No key depends on a mirror's address, a folder's name or the time.
 */
export function planBuild(definition: ImageDefinition, facts: BuildFacts): Step[] {
  const { lock, tools } = facts;
  const { suite, architecture, variant } = lock;
  const epoch = Math.floor(definition.date.getTime() / 1000);
  const { name, compression } = definition;
  const steps: Step[] = [];
  const add = (
    id: StepId,
    needs: readonly StepId[],
    work: StepWork,
    more: StepInputs = {},
    passing = false,
  ) => {
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
    const key = digestOfValue([work.kind, inputs]);
    steps.push({ ...work, id, needs, inputs, key, ...(passing ? { passing } : {}) });
    return id;
  };
  const pruned = { paths: [] as string[], modules: [] as string[] };
  const layers: StepId[] = [];
  let from: StepId = 'bootstrap';
  let below: StepId | undefined;
  const chain = chainOf(definition);
  for (const [level, image] of chain.entries()) {
    const first = facts.groups[level - 1] ?? 0;
    const groups = lock.groups.slice(first, facts.groups[level]);
    if (level === 0) {
      from = add(
        'bootstrap',
        [],
        {
          ...{ kind: 'bootstrap', suite, architecture, variant, answers: image.answers, epoch },
          packages: groups.shift()?.packages ?? [],
        },
        { mmdebstrap: tools.mmdebstrap },
      );
    }
    let since = 0;
    for (const { asked, packages } of groups) {
      // What was asked for had come already with something else.
      if (packages.length === 0) continue;
      const number = lock.groups.findIndex((group) => group.packages === packages) + 1;
      since += packages.length;
      // The root that another image is made from is read again after this one has been trimmed.
      const passing = since <= fewPackages && level === chain.length - 1;
      if (!passing) since = 0;
      from = add(
        `packages-${number}`,
        [from],
        { kind: 'packages', from, asked, suite, variant, packages, epoch },
        {},
        passing,
      );
    }
    const { users, files, hooks } = image;
    const locale = level === 0 ? image.locale : undefined;
    if (locale !== undefined || users.length + files.length + hooks.length > 0) {
      from = add(
        level === 0 ? 'customize' : `customize-${level + 1}`,
        [from],
        { kind: 'customize', from, users, locale, files, hooks, epoch },
        { 'files and hooks': facts.brought[level] },
      );
    }
    if (level === 0) add('kernel', [from], { kind: 'kernel', from });
    pruned.paths.push(...image.prune.paths);
    pruned.modules.push(...prunedModules(image));
    const packing = { paths: [...pruned.paths], modules: [...pruned.modules], compression, epoch };
    const packer = { mksquashfs: tools.mksquashfs };
    below =
      below === undefined
        ? add('squash', [from], { kind: 'squash', from, ...packing }, packer)
        : add(
            `layer-${level + 1}`,
            [from, ...layers],
            { kind: 'layer', from, below, ...packing },
            packer,
          );
    layers.push(below);
  }
  const top = below ?? 'squash';
  add('facts', layers, { kind: 'facts', from: top });
  add(
    'initramfs',
    layers,
    { kind: 'initramfs', from: top, guestDir: facts.guestDir },
    { 'scripts of the guest': facts.guest },
  );
  add('loaders', [], { kind: 'loaders', suite, loaders: lockedLoaders(definition, lock) });
  add('assemble', ['facts', 'kernel', 'initramfs', ...layers, 'loaders'], {
    kind: 'assemble',
    name,
    layers,
    loaders: Object.keys(definition.loaders).sort(),
    suite,
    architecture,
  });
  return steps;
}

/** What of the work decides its output: not where something is, nor in which step's name. */
function inputsOf(work: StepWork): StepInputs {
  const { kind: _kind, ...all } = work;
  const places: readonly string[] = [
    ...['from', 'below', 'layers', 'asked', 'guestDir'],
    // Their digest decides, and not where they are.
    ...['files', 'hooks'],
  ];
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
      return `remove what no server needs and what names this place or time, pack the root (${describeCompression(step.compression)})`;
    case 'layer':
      return `the same, and pack what differs from the layers below (${describeCompression(step.compression)})`;
    case 'customize':
      return describeCustomize(step);
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

function describeCompression({ type, level }: Compression): string {
  return level === undefined ? type : `${type}-${level}`;
}

function describeCustomize({ users, files, hooks, locale }: StepOf<'customize'>): string {
  const parts = [
    locale === undefined ? [] : `make the locale ${locale}`,
    users.length > 0 ? `add ${users.map((user) => user.name).join(', ')}` : [],
    files.length > 0 ? `copy ${files.map((rule) => basename(rule.from)).join(', ')}` : [],
    hooks.length > 0 ? `run ${hooks.map((hook) => basename(hook.run)).join(', ')}` : [],
  ];
  return parts.flat().join('; ');
}
