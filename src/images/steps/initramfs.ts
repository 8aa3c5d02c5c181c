import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildInitramfs } from '../initramfs.ts';
import { requireKernelVersion } from '../kernel-version.ts';
import type { Executor } from './executor.ts';

/** Packs the initramfs out of the root's busybox and modules and the guest's scripts, as `initramfs`. */
export const initramfs: Executor<'initramfs'> = async (step, context) => {
  const rootDir = await context.readRoot(step.from);
  const kernelVersion = await requireKernelVersion(rootDir);
  const bytes = await buildInitramfs({ rootDir, kernelVersion, guestDir: step.guestDir });
  await writeFile(join(context.output, 'initramfs'), bytes);
};
