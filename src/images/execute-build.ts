import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { syncFolder } from '../system/durable-file.ts';
import { runProgram } from '../system/run-program.ts';
import { describeStep, type Step } from './plan-build.ts';
import { type Executors, runStep, type StepContext } from './steps/executor.ts';

/** What a build tells while it goes on. */
export type BuildEvent = StepPosition &
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

export interface BuildRun extends Pick<StepContext, 'store' | 'sources' | 'aptCache'> {
  readonly executors: Executors;
  /** Outputs of finished steps, `<kind>-<key>`; whole or not there. */
  readonly cache: string;
  /** For unfinished steps; deleted at the start. */
  readonly work: string;
  /** Milliseconds, for durations. */
  now(): number;
  onEvent(event: BuildEvent): void;
}

/** Folder of a finished step's output in the cache. */
export function outputOf(cache: string, step: Pick<Step, 'kind' | 'key'>): string {
  return join(cache, `${step.kind}-${step.key}`);
}

/** Whether the step's output is in the cache. */
export async function isKept(cache: string, step: Step): Promise<boolean> {
  return (await stat(outputOf(cache, step)).catch(() => undefined))?.isDirectory() ?? false;
}

/**
 * Runs the steps that have no output in the cache yet, in order. Only under the build lock.
 * A step's output reaches the cache whole, by one rename, after it reached the disk: whatever kills
 * the build, the next one goes on from the last whole step.
 */
export async function executeBuild(steps: readonly Step[], run: BuildRun): Promise<void> {
  const { cache, work, onEvent } = run;
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  await mkdir(cache, { recursive: true });
  for (const [at, step] of steps.entries()) {
    const position = { step, index: at + 1, of: steps.length };
    if (await isKept(cache, step)) {
      onEvent({ kind: 'step-kept', ...position });
      continue;
    }
    onEvent({ kind: 'step-started', ...position });
    const start = run.now();
    await runInto(step, steps, run, (text, done) =>
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
  run: BuildRun,
  progress: StepContext['progress'],
): Promise<void> {
  const { cache, work, store, sources, aptCache } = run;
  const output = join(work, step.kind);
  const scratch = join(work, `${step.kind}-scratch`);
  await mkdir(output);
  await mkdir(scratch);
  await runStep(run.executors, step, {
    ...{ output, scratch, store, sources, aptCache, progress },
    input: (kind) => {
      const needed = steps.find((other) => other.kind === kind);
      if (!needed || !step.needs.includes(kind)) throw new Error(`${step.kind} needs no ${kind}`);
      return outputOf(cache, needed);
    },
  });
  // The name must not reach the disk before what it names.
  await runProgram('sync', ['--file-system', output]);
  await rename(output, outputOf(cache, step));
  await syncFolder(cache);
  await rm(scratch, { recursive: true, force: true });
}

/** Deletes outputs that no step of the plan names. Only under the build lock. */
export async function sweepCache(cache: string, steps: readonly Step[]): Promise<void> {
  const named = new Set(steps.map((step) => `${step.kind}-${step.key}`));
  for (const name of await readdir(cache).catch(() => [])) {
    if (!named.has(name)) await rm(join(cache, name), { recursive: true, force: true });
  }
}

function stepFailed({ step, index, of }: StepPosition, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code, hint } = error instanceof AppError ? error : { code: 'step-failed', hint: '' };
  return new AppError(
    code,
    `step ${index}/${of} (${step.kind}: ${describeStep(step)}) failed\n${error.message}`,
    hint || 'the published image is as it was; run it again, whole steps are kept',
    { cause: error },
  );
}
