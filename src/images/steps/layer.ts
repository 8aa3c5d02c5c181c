import { join } from 'node:path';
import { packLayer } from '../pack-layer.ts';
import { packedLayer } from '../root-trees.ts';
import type { Executor } from './executor.ts';
import { trimRoot } from './trim.ts';

/** Trims the root and packs what differs from the layers below, as `layer.squashfs`. */
export const layer: Executor<'layer'> = async (step, context) => {
  const upper = await context.takeRoot(step.from);
  await trimRoot(upper, step, context.modules);
  context.progress('comparing', 0.4);
  const lower = await context.readRoot(step.below);
  const { scratch, output } = context;
  const { epoch, compression } = step;
  await packLayer({ lower, upper, scratch, epoch, compression }, join(output, packedLayer));
};
