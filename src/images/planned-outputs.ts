import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { writeDurably } from '../system/durable-file.ts';
import type { Step } from './build-step.ts';
import type { ImageStore } from './image-store.ts';
import { outputOf } from './step-output.ts';

/**
 * Names of the outputs that this plan and those of other images in the same cache need; takes this plan down in
 * `planFile`, beside which are those of the others. Of an image that the store has no more, or whose plan cannot be
 * read, nothing is needed.
 */
export async function plannedOutputs(
  planFile: string,
  steps: readonly Step[],
  store: ImageStore,
): Promise<Set<string>> {
  const outputs = steps.map((step) => basename(outputOf('', step)));
  await writeDurably(planFile, JSON.stringify(outputs));
  const named = new Set(outputs);
  const stored = new Set((await store.list()).map(({ manifest }) => manifest.name));
  for (const file of await readdir(dirname(planFile))) {
    const path = join(dirname(planFile), file);
    const planned = stored.has(basename(file, '.json')) ? await readPlan(path) : undefined;
    if (planned) for (const name of planned) named.add(name);
    else await rm(path, { recursive: true, force: true });
  }
  return named;
}

const shape = z.array(z.string());

/** undefined where a cache was carried away in part, or its disk fails. */
async function readPlan(path: string): Promise<readonly string[] | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  try {
    return shape.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
