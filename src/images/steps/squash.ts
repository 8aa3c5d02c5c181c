import { join } from 'node:path';
import { runContained } from '../../system/run-contained.ts';
import { packedRoot } from '../root-trees.ts';
import type { Executor } from './executor.ts';
import { trimRoot } from './trim.ts';

/** Trims the root and packs it as `root.squashfs`, the same bytes for the same tree: see squashfsArguments. */
export const squash: Executor<'squash'> = async (step, context) => {
  const root = await context.takeRoot(step.from);
  await trimRoot(root, step);
  context.progress('packing', 0.4);
  await runContained('mksquashfs', squashfsArguments(root, join(context.output, packedRoot)), {
    env: { SOURCE_DATE_EPOCH: String(step.epoch), TZ: 'UTC', LC_ALL: 'C' },
  });
};

/**
 * Arguments of mksquashfs(1). SOURCE_DATE_EPOCH in its environment sets the file system's own time
 * and is the youngest time of any file in it.
 */
function squashfsArguments(tree: string, file: string): string[] {
  return [
    ...[tree, file, '-noappend', '-no-progress', '-quiet'],
    // Boots are bounded by bytes to fetch and hash against time to unpack: zstd-3 was the fastest.
    ...['-comp', 'zstd', '-Xcompression-level', '3', '-b', '128K'],
    // Blocks in the order of the tree, whatever processor was ready first.
    '-reproducible',
    // No table for NFS exports of the file system itself: nothing exports it.
    '-no-exports',
  ];
}
