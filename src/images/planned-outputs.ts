import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { writeDurably } from '../system/durable-file.ts';
import type { Step } from './build-step.ts';
import type { ImageStore } from './image-store.ts';
import { outputOf } from './step-output.ts';

/**
 * Names of the outputs that this plan and those of other images in the same cache need; takes this plan down in
 * `planFile`, beside which are those of the others. Of an image that the store has no more, nothing is needed.
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
    if (!stored.has(basename(file, '.json'))) await rm(path, { force: true });
    else for (const name of JSON.parse(await readFile(path, 'utf8')) as string[]) named.add(name);
  }
  return named;
}
