import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { runContained } from '../system/run-contained.ts';
import { applyLayer } from './apply-layer.ts';
import type { StepId } from './build-step.ts';

/** File of a step's output that holds its root. */
export const packedRoot = 'root.squashfs';

/** File of a step's output that holds what its root has besides the one below. */
export const packedLayer = 'layer.squashfs';

/** Unpacked roots while a build runs. What the cache keeps is packed: one file, which a digest covers. */
export interface RootTrees {
  /** Where the step makes its root. */
  own(id: StepId): string;
  /** The root that the step has left, unpacked if need be; to be read only. */
  read(from: StepId): Promise<string>;
  /** The same, to be changed: it is the step's own from now on. Nobody may read it meanwhile. */
  take(from: StepId, id: StepId): Promise<string>;
}

/**
 * Keeps the trees in `work`; `outputOf` is the folder of a finished step's output, `belowOf` the step below where
 * it left a layer.
 */
export function openRootTrees(
  work: string,
  outputOf: (id: StepId) => string,
  belowOf: (id: StepId) => StepId | undefined,
): RootTrees {
  const own = (id: StepId) => join(work, `${id}-root`);
  const unpacked = new Map<StepId, Promise<void>>();
  const made = new Set<StepId>();
  const unpack = async (from: StepId) => {
    const below = belowOf(from);
    if (!below) return unpackRoot(join(outputOf(from), packedRoot), own(from));
    await copyTree(await read(below), own(from));
    const layer = join(work, `${from}-layer`);
    await unpackRoot(join(outputOf(from), packedLayer), layer);
    await applyLayer(own(from), layer, join(work, `${from}-paths`));
  };
  const read: RootTrees['read'] = async (from) => {
    if (!made.has(from)) {
      const unpacking = unpacked.get(from) ?? unpack(from);
      unpacked.set(from, unpacking);
      await unpacking;
    }
    return own(from);
  };
  return {
    own: (id) => {
      made.add(id);
      return own(id);
    },
    read,
    take: async (from, id) => {
      const tree = await read(from);
      made.delete(from);
      unpacked.delete(from);
      await rename(tree, own(id));
      made.add(id);
      return own(id);
    },
  };
}

/** Packs a root for the next build of this machine or of a CI: fast, and small enough. */
export async function packRoot(tree: string, file: string): Promise<void> {
  await runContained('mksquashfs', [
    ...[tree, file, '-noappend', '-no-progress', '-quiet', '-no-exports'],
    ...['-comp', 'zstd', '-Xcompression-level', '1'],
  ]);
}

async function copyTree(from: string, to: string): Promise<void> {
  await runContained('cp', ['--archive', '--no-target-directory', from, to]);
}

async function unpackRoot(file: string, tree: string): Promise<void> {
  await runContained('unsquashfs', ['-no-progress', '-quiet', '-dest', tree, file]);
}
