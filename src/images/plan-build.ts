import type { Digest } from '../digest.ts';
import type { LockedLoader, Step, StepId, StepKind } from './build-step.ts';
import { prunedModules } from './hardware-class.ts';
import { chainOf, type ImageDefinition } from './image-definition.ts';
import { isOf, type PackageLock } from './package-lock.ts';
import { whichPass } from './passing-steps.ts';
import { keyStep, type StepDraft } from './step-key.ts';

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

/**
 * The steps from a definition and its locked packages to a manifest, each with its cache key. The steps of an
 * image that is extended are those that it has when it is built alone.
 * No key depends on a mirror's address, a folder's name or the time.
 */
export function planBuild(definition: ImageDefinition, facts: BuildFacts): Step[] {
  const steps: Step[] = [];
  const plan: Plan = {
    ...{ definition, facts },
    epoch: Math.floor(definition.date.getTime() / 1000),
    add: (draft) => {
      steps.push(keyStep(draft, steps, facts.program));
      return draft.id;
    },
  };
  let root: StepId = 'bootstrap';
  const layers: StepId[] = [];
  const chain = chainOf(definition);
  for (const [at, image] of chain.entries()) {
    const level: Level = { at, image, below: chain.slice(0, at), isTop: at === chain.length - 1 };
    root = planPackages(plan, level, root);
    root = planContents(plan, level, root);
    if (at === 0) plan.add({ id: 'kernel', needs: [root], work: { kind: 'kernel', from: root } });
    layers.push(planPacking(plan, level, root, layers));
  }
  planImage(plan, layers);
  return steps;
}

/** What every part of a plan is made from. */
interface Plan {
  readonly definition: ImageDefinition;
  readonly facts: BuildFacts;
  /** SOURCE_DATE_EPOCH in seconds. */
  readonly epoch: number;
  /** Takes in what comes after the steps that are there; gives back its id. */
  add(draft: StepDraft): StepId;
}

/** The image, or one that it extends. */
interface Level {
  /** From 0, the lowest. */
  readonly at: number;
  readonly image: ImageDefinition;
  /** Those that it extends, the lowest first. */
  readonly below: readonly ImageDefinition[];
  /** No other one is made from it. */
  readonly isTop: boolean;
}

/** The level's groups of the lock on top of a root; of the lowest the first makes a root. Gives back whose root has them. */
function planPackages({ facts, epoch, add }: Plan, level: Level, below: StepId): StepId {
  const { lock, tools } = facts;
  const { suite, architecture, variant } = lock;
  const groups = lock.groups.slice(facts.groups[level.at - 1] ?? 0, facts.groups[level.at]);
  let from = below;
  let { answers } = level.image;
  if (level.at === 0) {
    const packages = groups.shift()?.packages ?? [];
    from = add({
      ...{ id: 'bootstrap', needs: [], inputs: { mmdebstrap: tools.mmdebstrap } },
      work: { kind: 'bootstrap', suite, architecture, variant, packages, answers, epoch },
    });
    answers = [];
  }
  // What was asked for had come already with something else.
  const bringing = groups.filter(({ packages }) => packages.length > 0);
  const passes = whichPass(
    bringing.map(({ packages }) => packages.length),
    level.isTop,
  );
  for (const [at, { asked, packages }] of bringing.entries()) {
    const number = lock.groups.findIndex((group) => group.packages === packages) + 1;
    from = add({
      ...{ id: `packages-${number}`, needs: [from], passing: passes[at] ?? false },
      work: { kind: 'packages', from, asked, suite, variant, packages, answers, epoch },
    });
    // The root keeps them for the groups after it.
    answers = [];
  }
  return from;
}

/** What the level's image brings besides packages. Gives back whose root has it. */
function planContents({ facts, epoch, add }: Plan, { at, image }: Level, from: StepId): StepId {
  const { users, files, hooks } = image;
  const locale = at === 0 ? image.locale : undefined;
  if (locale === undefined && users.length + files.length + hooks.length === 0) return from;
  return add({
    ...{ id: at === 0 ? 'customize' : `customize-${at + 1}`, needs: [from] },
    work: { kind: 'customize', from, users, locale, files, hooks, epoch },
    inputs: { 'files and hooks': facts.brought[at] },
  });
}

/** Packs the level's root, or what it has besides the layers below. Gives back whose output that is. */
function planPacking(
  { definition, facts, epoch, add }: Plan,
  level: Level,
  from: StepId,
  layers: readonly StepId[],
): StepId {
  const images = [...level.below, level.image];
  const packing = {
    paths: images.flatMap(({ prune }) => prune.paths),
    modules: images.flatMap(prunedModules),
    ...{ compression: definition.compression, epoch },
  };
  const inputs = { mksquashfs: facts.tools.mksquashfs };
  const below = layers.at(-1);
  if (below === undefined) {
    return add({ id: 'squash', needs: [from], work: { kind: 'squash', from, ...packing }, inputs });
  }
  return add({
    ...{ id: `layer-${level.at + 1}`, needs: [from, ...layers], inputs },
    work: { kind: 'layer', from, below, ...packing },
  });
}

/** What a machine boots besides the root, and the manifest of all. */
function planImage({ definition, facts, add }: Plan, layers: readonly StepId[]): void {
  const { lock, guestDir } = facts;
  const { suite, architecture } = lock;
  const from = layers.at(-1) ?? 'squash';
  const loaders = lockedLoaders(definition, lock);
  add({ id: 'facts', needs: layers, work: { kind: 'facts', from } });
  add({
    ...{ id: 'initramfs', needs: layers, work: { kind: 'initramfs', from, guestDir } },
    inputs: { 'scripts of the guest': facts.guest },
  });
  add({ id: 'loaders', needs: [], work: { kind: 'loaders', suite, loaders } });
  add({
    ...{ id: 'assemble', needs: ['facts', 'kernel', 'initramfs', ...layers, 'loaders'] },
    work: {
      ...{ kind: 'assemble', name: definition.name, layers, suite, architecture },
      loaders: Object.keys(definition.loaders).sort(),
    },
  });
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
