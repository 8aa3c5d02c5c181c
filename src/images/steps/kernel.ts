import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { requireKernelVersion } from '../kernel-version.ts';
import type { Executor } from './executor.ts';

/** Copies the kernel out of the root, as `kernel`. */
export const kernel: Executor<'kernel'> = async (step, context) => {
  const root = await context.readRoot(step.from);
  const version = await requireKernelVersion(root);
  await copyFile(join(root, 'boot', `vmlinuz-${version}`), join(context.output, 'kernel'));
};
