import { type Digest, digestOfValue } from '../digest.ts';
import type { ImageDefinition, LoaderSource } from './image-definition.ts';

/** What a build does, in order; `needs` are the steps whose output it reads. */
export type Step = {
  /** Digest of all that decides the step's output: equal keys, equal output. */
  readonly key: Digest;
  readonly needs: readonly StepKind[];
} & StepWork;

export type StepWork =
  | {
      readonly kind: 'bootstrap';
      readonly suite: string;
      readonly architecture: string;
      readonly variant: 'minbase' | 'extract';
      /** The kernel's package among them; sorted. */
      readonly packages: readonly string[];
      readonly answers: readonly string[];
      /** SOURCE_DATE_EPOCH in seconds. */
      readonly epoch: number;
    }
  | {
      readonly kind: 'trim';
      readonly paths: readonly string[];
      readonly modules: readonly string[];
    }
  | { readonly kind: 'facts' }
  | { readonly kind: 'squash'; readonly epoch: number }
  | { readonly kind: 'kernel' }
  | { readonly kind: 'initramfs'; readonly guestDir: string }
  | {
      readonly kind: 'loaders';
      readonly suite: string;
      readonly architecture: string;
      readonly loaders: Readonly<Record<string, LoaderSource>>;
    }
  | {
      readonly kind: 'assemble';
      readonly name: string;
      /** Names of the loaders, sorted. */
      readonly loaders: readonly string[];
      readonly suite: string;
      readonly architecture: string;
    };

export type StepKind = StepWork['kind'];

/** Of a step kind, its data. */
export type StepOf<K extends StepKind> = Extract<Step, { readonly kind: K }>;

/** What the plan has to know of the world besides the definition. */
export interface BuildFacts {
  readonly architecture: 'amd64' | 'arm64';
  /** Packages that the roles ask for. */
  readonly rolePackages: readonly string[];
  /** Digest of the suite's signed indices when they were last looked at. */
  readonly release: Digest;
  /** First line of `--version` by program. */
  readonly tools: Readonly<Record<'mmdebstrap' | 'mksquashfs', string>>;
  /** Folder of the guest's scripts, and a digest of what is in it. */
  readonly guestDir: string;
  readonly guest: Digest;
  /** Digest of the program text that performs each step. */
  readonly program: Readonly<Record<StepKind, Digest>>;
}

/**
 * The steps from a definition to a manifest, each with its cache key.
 * No key depends on a mirror's address, a folder's name or the time.
 */
export function planBuild(definition: ImageDefinition, facts: BuildFacts): Step[] {
  const { architecture, release, tools } = facts;
  const epoch = Math.floor(definition.date.getTime() / 1000);
  const { name, suite, variant, answers, prune, loaders } = definition;
  const kernel = definition.kernel[architecture];
  const wanted = [
    ...(kernel ? [kernel] : []),
    ...definition.packages,
    ...(definition.rolePackages ? facts.rolePackages : []),
  ];
  const packages = [...new Set(wanted)].sort();
  const steps: Step[] = [];
  const add = (needs: readonly StepKind[], work: StepWork, inputs: readonly unknown[] = []) => {
    const before = needs.map((kind) => steps.find((step) => step.kind === kind)?.key);
    const { guestDir: _place, ...decides } = { guestDir: '', ...work };
    const key = digestOfValue([decides, before, inputs, facts.program[work.kind]]);
    steps.push({ ...work, key, needs });
  };
  add([], { kind: 'bootstrap', suite, architecture, variant, packages, answers, epoch }, [
    release,
    tools.mmdebstrap,
  ]);
  add(['bootstrap'], { kind: 'kernel' });
  add(['bootstrap'], { kind: 'trim', paths: prune.paths, modules: prune.modules });
  add(['trim'], { kind: 'facts' });
  add(['trim'], { kind: 'initramfs', guestDir: facts.guestDir }, [facts.guest]);
  add(['trim'], { kind: 'squash', epoch }, [tools.mksquashfs]);
  add([], { kind: 'loaders', suite, architecture, loaders }, [release]);
  add(['facts', 'kernel', 'initramfs', 'squash', 'loaders'], {
    kind: 'assemble',
    name,
    loaders: Object.keys(loaders).sort(),
    suite,
    architecture,
  });
  return steps;
}

/** What a step does, in words for an operator. */
export function describeStep(step: Step): string {
  switch (step.kind) {
    case 'bootstrap':
      return `install ${step.packages.length} packages and what they need of ${step.suite} ${step.architecture}`;
    case 'kernel':
      return 'take the kernel';
    case 'trim':
      return 'remove what no server needs and what names this place or time';
    case 'facts':
      return 'list packages, units, users';
    case 'initramfs':
      return 'pack the initramfs';
    case 'squash':
      return 'pack the root (squashfs, zstd-3)';
    case 'loaders':
      return `take the loaders ${Object.keys(step.loaders).join(', ')}`;
    case 'assemble':
      return 'put the image into the store';
  }
}
