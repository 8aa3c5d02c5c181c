import type { Digest } from '../digest.ts';
import type { Compression, ImageContents } from './image-definition.ts';
import type { LockedPackage } from './package-lock.ts';

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
      /** For debconf-set-selections(1), before the packages. */
      readonly answers: readonly string[];
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

/** The packages whose files the step reads. */
export function packagesOf(step: Step): readonly LockedPackage[] {
  if (step.kind === 'bootstrap' || step.kind === 'packages') return step.packages;
  if (step.kind !== 'loaders') return [];
  return [...new Set(Object.values(step.loaders).map((loader) => loader.package))];
}

/** One step of `build --plan`. */
export interface PlannedStep {
  readonly step: Step;
  /** Its output is there: a build would not do it. */
  readonly kept: boolean;
  /** Why it is not there; empty where it is. */
  readonly why: string;
}
