import { runContained } from '../system/run-contained.ts';

/**
 * Packs a tree as squashfs, the same bytes for the same tree. `epoch` (seconds) is the file system's own time and
 * the youngest time of any file in it.
 */
export async function packSquashfs(tree: string, file: string, epoch: number): Promise<void> {
  await runContained('mksquashfs', squashfsArguments(tree, file), {
    env: { SOURCE_DATE_EPOCH: String(epoch), TZ: 'UTC', LC_ALL: 'C' },
  });
}

/** Arguments of mksquashfs(1). */
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
