import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readImageFacts } from '../image-facts-of-root.ts';
import { requireKernelVersion } from '../kernel-version.ts';
import { readSoftware, softwareFile } from '../software-of-root.ts';
import type { Executor } from './executor.ts';

/** Reads out of the root what overlays must know of it, as `facts.json`, and which packages are in it. */
export const facts: Executor<'facts'> = async (step, context) => {
  const root = await context.readRoot(step.from);
  const kernelVersion = await requireKernelVersion(root);
  const found = { ...(await readImageFacts(root)), kernelVersion };
  await writeFile(join(context.output, 'facts.json'), JSON.stringify(found));
  await writeFile(join(context.output, softwareFile), JSON.stringify(await readSoftware(root)));
};
