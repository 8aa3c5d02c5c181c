import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Blob } from '../boot/image-manifest.ts';
import { type Digest, digestOf, parseDigest } from '../digest.ts';
import { syncFolder } from '../system/durable-file.ts';

/** Overlay tars by digest, as files, so that a boot that has begun gets the overlay it began with. */
export interface OverlayStore {
  /** Keeps the tar; on disk under its digest when this resolves. */
  put(tar: Uint8Array): Promise<Blob>;
  /** The file of that overlay and its size in bytes; undefined where it is not kept. */
  file(digest: Digest): { readonly path: string; readonly size: number } | undefined;
  /** Deletes overlays that `keep` does not name and that are older than `minAge` milliseconds. */
  prune(keep: ReadonlySet<Digest>, now: number, minAge?: number): void;
}

/** Where the state folder keeps an overlay, while it keeps it. */
export function overlayFile(state: string, digest: Digest): string {
  return join(overlaysOf(state), `${digest}.tar`);
}

/** The state folder's folder of overlays. */
export function overlaysOf(state: string): string {
  return join(state, 'overlays');
}

const day = 24 * 60 * 60 * 1000;

/** Opens the folder of overlays, made where it is not there; half-written files of a killed server are deleted. */
export function openOverlayStore(folder: string): OverlayStore {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(folder)) {
    if (name.startsWith('.writing-')) rmSync(join(folder, name));
  }
  const pathOf = (digest: Digest) => join(folder, `${digest}.tar`);

  function file(digest: Digest) {
    const stat = statSync(pathOf(digest), { throwIfNoEntry: false });
    return stat ? { path: pathOf(digest), size: stat.size } : undefined;
  }

  return {
    file,
    async put(tar) {
      const digest = digestOf(tar);
      if (file(digest)?.size === tar.byteLength) {
        // It counts as new: nobody names it yet, and a pruning must not take it before somebody does.
        const now = Date.now() / 1000;
        utimesSync(pathOf(digest), now, now);
        return { digest, size: tar.byteLength };
      }
      const aside = join(folder, `.writing-${randomBytes(8).toString('hex')}`);
      await writeDurably(aside, tar);
      await rename(aside, pathOf(digest));
      await syncFolder(folder);
      return { digest, size: tar.byteLength };
    },
    prune(keep, now, minAge = day) {
      for (const name of readdirSync(folder)) {
        const digest = parseDigest(name.replace(/\.tar$/, ''));
        if (!digest || keep.has(digest)) continue;
        const path = join(folder, name);
        if (now - statSync(path).mtimeMs > minAge) rmSync(path);
      }
    },
  };
}

/** A rack of spares asks for its overlays at once: while the disk writes one, the server answers others. */
async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}
