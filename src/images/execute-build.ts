import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { syncFolder, syncTree } from '../system/durable-file.ts';
import type { Step, StepId } from './build-step.ts';
import { describeStep } from './describe-step.ts';
import type { FetchProgress } from './package-cache.ts';
import { openRootTrees, type RootTrees } from './root-trees.ts';
import { findDamage, forgetOutput, isKept, outputOf, recordOutput } from './step-output.ts';
import { type Executors, runStep, type StepContext } from './steps/executor.ts';

/** What a build tells while it goes on. */
export type BuildEvent =
  | StepEvent
  /** Before the steps: what the image is made of is looked up. */
  | { readonly kind: 'resolving'; readonly text: string }
  | ({ readonly kind: 'fetching' } & FetchProgress)
  /** Something was not as it should be, and the build goes on. */
  | { readonly kind: 'warning'; readonly text: string };

export type StepEvent = StepPosition &
  (
    | { readonly kind: 'step-started' }
    | { readonly kind: 'step-progress'; readonly text: string; readonly done: number | undefined }
    | { readonly kind: 'step-kept' }
    | { readonly kind: 'step-done'; readonly seconds: number }
  );

export interface StepPosition {
  readonly step: Step;
  /** From 1. */
  readonly index: number;
  readonly of: number;
}

export interface BuildRun extends Pick<StepContext, 'store' | 'packages' | 'secrets' | 'modules'> {
  readonly executors: Executors;
  /** Outputs of finished steps, `<kind>-<key>`; whole or not there. */
  readonly cache: string;
  /** For unfinished steps; deleted at the start. */
  readonly work: string;
  /** Milliseconds, for durations. */
  now(): number;
  onEvent(event: BuildEvent): void;
}

/**
 * The steps that must run so that the last one's output is there: those without an output, and those whose
 * output a step would read that is to run. What is read is verified to the byte before; an output that is
 * damaged is deleted, said, and made anew.
 */
export async function stepsToRun(
  steps: readonly Step[],
  { cache, onEvent }: Pick<BuildRun, 'cache' | 'onEvent'>,
): Promise<Set<StepId>> {
  const toRun = new Set<StepId>();
  const seen = new Set<StepId>();
  const visit = async (step: Step, depth: 'sizes' | 'bytes'): Promise<void> => {
    if (seen.has(step.id)) return;
    seen.add(step.id);
    const damage = await findDamage(cache, step, depth);
    if (damage === undefined) return;
    if (damage !== 'is not there') {
      onEvent({
        kind: 'warning',
        text: `the kept output of ${step.id} is damaged (${damage}) and is made anew`,
      });
      await forgetOutput(cache, step);
    }
    toRun.add(step.id);
    for (const need of step.needs) {
      const needed = steps.find(({ id }) => id === need);
      if (needed) await visit(needed, 'bytes');
    }
  };
  const last = steps.at(-1);
  if (last) await visit(last, 'sizes');
  return toRun;
}

/**
 * Runs these steps of the plan, in order. Only under the build lock.
 * A step's output reaches the cache whole, by one rename, after it reached the disk: whatever kills
 * the build, the next one goes on from the last whole step.
 */
export async function executeBuild(
  steps: readonly Step[],
  toRun: ReadonlySet<StepId>,
  run: BuildRun,
): Promise<void> {
  const { cache, work, onEvent } = run;
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  await mkdir(cache, { recursive: true });
  const trees = openRootTrees(
    work,
    (id) => outputOf(cache, stepOf(steps, id)),
    (id) => {
      const step = stepOf(steps, id);
      return step.kind === 'layer' ? step.below : undefined;
    },
  );
  for (const [at, step] of steps.entries()) {
    const position = { step, index: at + 1, of: steps.length };
    if (!toRun.has(step.id)) {
      if (await isKept(cache, step)) onEvent({ kind: 'step-kept', ...position });
      continue;
    }
    onEvent({ kind: 'step-started', ...position });
    const start = run.now();
    await runInto(step, steps, trees, run, (text, done) =>
      onEvent({ kind: 'step-progress', ...position, text, done }),
    ).catch((error: unknown) => {
      throw stepFailed(position, error);
    });
    onEvent({ kind: 'step-done', ...position, seconds: (run.now() - start) / 1000 });
  }
  await rm(work, { recursive: true, force: true });
}

async function runInto(
  step: Step,
  steps: readonly Step[],
  trees: RootTrees,
  run: BuildRun,
  progress: StepContext['progress'],
): Promise<void> {
  const { cache, work, store, packages, secrets, modules } = run;
  const output = join(work, step.id);
  const scratch = join(work, `${step.id}-scratch`);
  await mkdir(output);
  await mkdir(scratch);
  const needed = (id: StepId) => {
    if (!step.needs.includes(id)) throw new Error(`${step.id} needs no ${id}`);
    return id;
  };
  await runStep(run.executors, step, {
    ...{ output, scratch, store, packages, secrets, modules, progress },
    input: (id) => outputOf(cache, stepOf(steps, needed(id))),
    newRoot: () => trees.own(step.id),
    readRoot: (from) => trees.read(needed(from)),
    takeRoot: (from) => trees.take(needed(from), step.id),
  });
  if (step.passing) {
    for (const folder of [output, scratch]) await rm(folder, { recursive: true, force: true });
    return;
  }
  await recordOutput(output, step.inputs);
  // The name must not reach the disk before what it names.
  await syncTree(output);
  await rename(output, outputOf(cache, step));
  await syncFolder(cache);
  await rm(scratch, { recursive: true, force: true });
}

function stepOf(steps: readonly Step[], id: StepId): Step {
  const step = steps.find((other) => other.id === id);
  if (!step) throw new Error(`the plan has no step ${id}`);
  return step;
}

/** Deletes outputs that are not among these. Only under the build lock. */
export async function sweepCache(cache: string, named: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(cache).catch(() => [])) {
    if (!named.has(name)) await rm(join(cache, name), { recursive: true, force: true });
  }
}

function stepFailed({ step, index, of }: StepPosition, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code, hint } = error instanceof AppError ? error : { code: 'step-failed', hint: '' };
  return new AppError(
    code,
    `step ${index}/${of} (${step.id}: ${describeStep(step)}) failed\n${error.message}`,
    hint || 'the published image is as it was; run it again, whole steps are kept',
    { cause: error },
  );
}
