import type { Step, StepId, StepKind, StepOf } from '../build-step.ts';
import type { ImageStore } from '../image-store.ts';
import type { PackageCache } from '../package-cache.ts';

/** What a step may use while it runs. */
export interface StepContext {
  /** An empty folder; the files in it when the step ends are the step's output. */
  readonly output: string;
  /** A folder for what is thrown away afterwards. */
  readonly scratch: string;
  /** The output folder of a step that this one needs. */
  input(id: StepId): string;
  /** Where this step makes a root that starts with nothing. */
  newRoot(): string;
  /** The unpacked root of a step that this one needs; only to be read. */
  readRoot(from: StepId): Promise<string>;
  /** The same to be changed: it is this step's from now on, and the steps after it go on with it. */
  takeRoot(from: StepId): Promise<string>;
  readonly store: ImageStore;
  /** Files of secrets that hooks may ask for, by name. */
  readonly secrets: Readonly<Record<string, string>>;
  /** A folder for lists of kernel modules, kept from build to build. */
  readonly modules: string;
  /** Holds every package that the step names. */
  readonly packages: PackageCache;
  /** Tells the operator what goes on; `done` between 0 and 1 where it is known. */
  progress(text: string, done?: number): void;
}

export type Executor<K extends StepKind> = (step: StepOf<K>, context: StepContext) => Promise<void>;

/** One executor for each kind of step; the compiler insists. */
export type Executors = { readonly [K in StepKind]: Executor<K> };

/** Runs the executor that belongs to the step. */
export function runStep(executors: Executors, step: Step, context: StepContext): Promise<void> {
  const run = executors[step.kind] as (step: Step, context: StepContext) => Promise<void>;
  return run(step, context);
}
