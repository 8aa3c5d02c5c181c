import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import { runContained } from '../system/run-contained.ts';
import { copyPaths } from './copy-paths.ts';
import type { Compression } from './image-definition.ts';
import { packSquashfs } from './pack-squashfs.ts';
import { planLayer } from './plan-layer.ts';
import { listTree } from './tree-listing.ts';

export interface LayerInput {
  /** Folder of the tree that the layers below make, and of the one that they make with this layer. */
  readonly lower: string;
  readonly upper: string;
  /** An empty folder for what is thrown away afterwards. */
  readonly scratch: string;
  /** SOURCE_DATE_EPOCH in seconds. */
  readonly epoch: number;
  readonly compression: Compression;
}

/** Packs what is different in `upper` as a squashfs layer for overlayfs. Needs root. */
export async function packLayer(input: LayerInput, file: string): Promise<void> {
  const { lower, upper, scratch, epoch, compression } = input;
  const plan = planLayer(await listTree(lower), await listTree(upper), epoch);
  const tree = join(scratch, 'layer');
  await mkdir(tree);
  const whiteouts = join(scratch, 'whiteouts.tar');
  await writeWhiteouts(plan.removed, whiteouts);
  await runContained('tar', ['--extract', '--file', whiteouts, '--directory', tree]);
  await copyPaths(upper, plan.taken, tree, join(scratch, 'taken'));
  await packSquashfs(tree, file, epoch, compression);
}

/** A whiteout is a character device 0/0 (overlayfs, Documentation/filesystems/overlayfs.rst). */
async function writeWhiteouts(paths: readonly string[], file: string): Promise<void> {
  const archive = pack();
  const written = pipeline(archive, createWriteStream(file));
  for (const path of paths) {
    const device = { type: 'character-device', devmajor: 0, devminor: 0 } as const;
    // The epoch's first second: a time that no build decides.
    archive.entry({ name: path, ...device, mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) });
  }
  archive.finalize();
  await written;
}
