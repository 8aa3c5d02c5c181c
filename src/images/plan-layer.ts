import { canonicalJson } from '../digest.ts';
import type { TreeEntry } from './tree-listing.ts';

/** A squashfs layer that makes another tree of the one below it, when overlayfs stacks the two. */
export interface LayerPlan {
  /** Paths that the layer takes from the upper tree, folders before what is in them. */
  readonly taken: readonly string[];
  /** Paths of the lower tree that the upper one has not: whiteouts of the layer. */
  readonly removed: readonly string[];
}

/**
 * What is different in `upper`. Times after `epoch` (seconds) are equal: the layer is packed with no file younger
 * than that. All names of an inode are taken together, so that hard links stay links.
 *
 * A folder in the place of something else needs no mark: overlayfs merges folders with folders only.
 */
export function planLayer(
  lower: readonly TreeEntry[],
  upper: readonly TreeEntry[],
  epoch: number,
): LayerPlan {
  const below = new Map(lower.map((entry) => [entry.path, entry]));
  const above = new Map(upper.map((entry) => [entry.path, entry]));
  const changed = upper.filter((entry) => {
    const before = below.get(entry.path);
    return !before || !isSame(before, entry, epoch);
  });
  const removed = lower
    .map(({ path }) => path)
    .filter((path) => !above.has(path) && above.get(parentOf(path))?.kind === 'directory');
  const taken = new Set(['']);
  for (const path of [...changed.flatMap(({ names }) => names), ...removed]) {
    for (let folder = parentOf(path); folder !== ''; folder = parentOf(folder)) taken.add(folder);
  }
  for (const { names } of changed) for (const name of names) taken.add(name);
  return { taken: [...taken].sort(), removed };
}

function isSame(a: TreeEntry, b: TreeEntry, epoch: number): boolean {
  return factsOf(a, epoch) === factsOf(b, epoch) && isReadable(a);
}

function factsOf(entry: TreeEntry, epoch: number): string {
  const mtime = Math.min(entry.mtime, epoch);
  return canonicalJson({ ...entry, mtime });
}

/** Bytes that are no UTF-8 were read as U+FFFD: equal to the eye, and perhaps not equal. */
function isReadable({ attributes }: TreeEntry): boolean {
  return !Object.values(attributes).some((value) => value.includes('\ufffd'));
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}
