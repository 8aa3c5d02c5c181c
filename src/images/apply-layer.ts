import { lstat, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { copyPaths } from './copy-paths.ts';
import { listTree } from './tree-listing.ts';

/**
 * Makes the tree below a layer the one that overlayfs would show with the layer over it. `scratch` is the name
 * of files for the time of the copy. Needs root.
 */
export async function applyLayer(tree: string, layer: string, scratch: string): Promise<void> {
  const taken: string[] = [];
  for (const { path, kind, device } of await listTree(layer)) {
    const place = join(tree, path);
    const isFolder = kind === 'directory';
    const before = await lstat(place).catch(() => undefined);
    // A file is never written into: it may have other names that keep what they had.
    if (before && !(isFolder && before.isDirectory())) {
      await rm(place, { recursive: true, force: true });
    }
    const isWhiteout = kind === 'character-device' && device.every((number) => number === 0);
    if (!isWhiteout) taken.push(path);
  }
  await copyPaths(layer, taken, tree, scratch);
}
