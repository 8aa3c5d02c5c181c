import { runContained } from '../system/run-contained.ts';
import type { Compression } from './image-definition.ts';

/**
 * Packs a tree as squashfs, the same bytes for the same tree. `epoch` (seconds) is the file system's own time and
 * the youngest time of any file in it.
 */
export async function packSquashfs(
  tree: string,
  file: string,
  epoch: number,
  compression: Compression,
): Promise<void> {
  await runContained('mksquashfs', squashfsArguments(tree, file, compression), {
    env: { SOURCE_DATE_EPOCH: String(epoch), TZ: 'UTC', LC_ALL: 'C' },
  });
}

/** Arguments of mksquashfs(1). */
function squashfsArguments(tree: string, file: string, { type, level }: Compression): string[] {
  return [
    ...[tree, file, '-noappend', '-no-progress', '-quiet'],
    ...['-comp', type, '-b', '128K'],
    ...(level === undefined ? [] : ['-Xcompression-level', String(level)]),
    // Blocks in the order of the tree, whatever processor was ready first.
    '-reproducible',
    // No table for NFS exports of the file system itself: nothing exports it.
    '-no-exports',
  ];
}
