import { join } from 'node:path';
import { packSquashfs } from '../pack-squashfs.ts';
import { packedRoot } from '../root-trees.ts';
import type { Executor } from './executor.ts';
import { trimRoot } from './trim.ts';

/** Trims the root and packs it as `root.squashfs`. */
export const squash: Executor<'squash'> = async (step, context) => {
  const root = await context.takeRoot(step.from);
  await trimRoot(root, step, context.modules);
  context.progress('packing', 0.4);
  await packSquashfs(root, join(context.output, packedRoot), step.epoch, step.compression);
};
