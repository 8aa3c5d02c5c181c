import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { runContained } from '../system/run-contained.ts';
import type { StepId } from './plan-build.ts';

/** File of a step's output that holds its root. */
export const packedRoot = 'root.squashfs';

/** Unpacked roots while a build runs. What the cache keeps is packed: one file, which a digest covers. */
export interface RootTrees {
  /** Where the step makes its root. */
  own(id: StepId): string;
  /** The root that the step has left, unpacked if need be; to be read only. */
  read(from: StepId): Promise<string>;
  /** The same, to be changed: it is the step's own from now on. Nobody may read it meanwhile. */
  take(from: StepId, id: StepId): Promise<string>;
}

/** Keeps the trees in `work`; `outputOf` is the folder of a finished step's output. */
export function openRootTrees(work: string, outputOf: (id: StepId) => string): RootTrees {
  const own = (id: StepId) => join(work, `${id}-root`);
  const unpacked = new Map<StepId, Promise<void>>();
  const made = new Set<StepId>();
  const read: RootTrees['read'] = async (from) => {
    if (!made.has(from)) {
      const packed = join(outputOf(from), packedRoot);
      const work = unpacked.get(from) ?? unpackRoot(packed, own(from));
      unpacked.set(from, work);
      await work;
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

async function unpackRoot(file: string, tree: string): Promise<void> {
  await runContained('unsquashfs', ['-no-progress', '-quiet', '-dest', tree, file]);
}
