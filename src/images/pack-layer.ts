import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import { runContained } from '../system/run-contained.ts';
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
}

/** Packs what is different in `upper` as a squashfs layer for overlayfs. Needs root. */
export async function packLayer(input: LayerInput, file: string): Promise<void> {
  const { lower, upper, scratch, epoch } = input;
  const plan = planLayer(await listTree(lower), await listTree(upper), epoch);
  const tree = join(scratch, 'layer');
  await mkdir(tree);
  const whiteouts = join(scratch, 'whiteouts.tar');
  await writeWhiteouts(plan.removed, whiteouts);
  await runContained('tar', ['--extract', '--file', whiteouts, '--directory', tree]);
  const taken = join(scratch, 'taken');
  await writeFile(taken, plan.taken.map((path) => `./${path}\0`).join(''));
  // Folders get the owner, mode and time of the upper tree after all that is in them.
  await runContained('sh', ['-c', copyTaken, 'sh', upper, taken, tree]);
  await packSquashfs(tree, file, epoch);
}

const keepAll = '--format=posix --numeric-owner --xattrs --xattrs-include=*';

const copyTaken = [
  'set -f',
  `tar --create --directory "$1" ${keepAll} --no-recursion --null --files-from "$2" >"$2.tar"`,
  `exec tar --extract --directory "$3" ${keepAll} --same-owner --preserve-permissions --file "$2.tar"`,
].join(' && ');

/** A whiteout is a character device 0/0 (overlayfs, Documentation/filesystems/overlayfs.rst). */
async function writeWhiteouts(paths: readonly string[], file: string): Promise<void> {
  const archive = pack();
  const written = pipeline(archive, createWriteStream(file));
  for (const path of paths) {
    const device = { type: 'character-device', devmajor: 0, devminor: 0 } as const;
    // The epoch's first second: a time that no build decides.
    archive.entry({ name: path, ...device, mode: 0, uid: 0, gid: 0, mtime: new Date(0) });
  }
  archive.finalize();
  await written;
}
