import type { ImageStore } from '../image-store.ts';
import type { Step, StepKind, StepOf } from '../plan-build.ts';
import type { SuiteSources } from '../suite-sources.ts';

/** What a step may use while it runs. */
export interface StepContext {
  /** An empty folder; what is left in it when the step ends is the step's output. */
  readonly output: string;
  /** A folder for what is thrown away afterwards. */
  readonly scratch: string;
  /** The output folder of a step that this one needs. */
  input(kind: StepKind): string;
  readonly store: ImageStore;
  /** Where the suite is fetched from, asked for only by steps that fetch. */
  sources(): Promise<SuiteSources>;
  /** Folder in which downloads are kept from build to build. */
  readonly aptCache: string;
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
