import { createHash, randomBytes } from 'node:crypto';
import { constants, copyFile, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Blob } from '../boot/image-manifest.ts';
import { type Digest, parseDigest } from '../digest.ts';
import { AppError } from '../errors.ts';
import { syncFolder } from '../system/durable-file.ts';
import { namesIn } from './image-tags.ts';

/** The parts of all images as files, each under its digest; whole or not there. */
export interface BlobStore {
  /** Absolute path where the blob is or would be. */
  path(digest: Digest): string;
  has(blob: Blob): Promise<boolean>;
  /** Takes a file in: hashed while it is copied, durable when this resolves. */
  add(file: string): Promise<Blob>;
  /**
   * Takes in bytes that must be those of `blob`, durable when this resolves; refuses others and keeps nothing
   * of them (`wrong-blob`).
   */
  addBytes(bytes: AsyncIterable<Uint8Array>, blob: Blob): Promise<void>;
  /** What is wrong with the file of a blob, in words; empty where it is whole. Reads all of it. */
  damageOf(blob: Blob): Promise<string>;
  /** Deletes what a killed process was taking in. */
  forgetHalfWritten(): Promise<void>;
  /** Deletes blobs that are not among these; gives back how many bytes. */
  sweep(needed: ReadonlySet<string>): Promise<number>;
}

/** The blobs in `<root>/blobs`; an absent folder holds none. */
export function openBlobStore(root: string): BlobStore {
  const folder = join(root, 'blobs');
  const asideFolder = join(root, 'incoming');
  const path = (digest: Digest) => join(folder, digest);

  /** Puts what `write` writes aside into the store, if `check` finds nothing wrong with it. */
  async function takeIn(
    write: (aside: string) => Promise<void>,
    check: (blob: Blob) => void,
  ): Promise<Blob> {
    await mkdir(asideFolder, { recursive: true });
    await mkdir(folder, { recursive: true });
    const aside = join(asideFolder, randomBytes(8).toString('hex'));
    try {
      await write(aside);
      const blob = await readBlob(aside);
      check(blob);
      const copy = await open(aside, 'r+');
      try {
        await copy.chmod(0o644);
        await copy.sync();
      } finally {
        await copy.close();
      }
      await rename(aside, path(blob.digest));
      await syncFolder(folder);
      return blob;
    } catch (error) {
      await rm(aside, { force: true });
      throw error;
    }
  }

  return {
    path,
    has: async ({ digest, size }) =>
      (await stat(path(digest)).catch(() => undefined))?.size === size,
    add: (file) =>
      takeIn(
        (aside) => copyFile(file, aside, constants.COPYFILE_FICLONE),
        () => undefined,
      ),
    addBytes: async (bytes, wanted) => {
      await takeIn(
        async (aside) => {
          const file = await open(aside, 'wx');
          try {
            await file.writeFile(bytes);
          } finally {
            await file.close();
          }
        },
        ({ digest, size }) => {
          if (digest === wanted.digest && size === wanted.size) return;
          throw new AppError(
            'wrong-blob',
            `${size} bytes with the digest ${digest} came as ${wanted.digest} of ${wanted.size}`,
          );
        },
      );
    },
    damageOf: async (blob) => {
      const found = await readBlob(path(blob.digest)).catch(() => undefined);
      if (!found) return 'is missing';
      if (found.size !== blob.size) return `has ${found.size} bytes instead of ${blob.size}`;
      if (found.digest === blob.digest) return '';
      return `holds other bytes: their digest is ${found.digest}`;
    },
    forgetHalfWritten: () => rm(asideFolder, { recursive: true, force: true }),
    sweep: async (needed) => {
      let bytes = 0;
      for (const name of await namesIn(folder)) {
        if (needed.has(name)) continue;
        const { size } = await stat(join(folder, name));
        await rm(join(folder, name), { force: true });
        bytes += size;
      }
      return bytes;
    },
  };
}

async function readBlob(path: string): Promise<Blob> {
  const hash = createHash('sha256');
  let size = 0;
  const file = await open(path, 'r');
  for await (const chunk of file.createReadStream({ highWaterMark: 1 << 20 })) {
    hash.update(chunk as Uint8Array);
    size += (chunk as Uint8Array).length;
  }
  const digest = parseDigest(hash.digest('hex'));
  if (digest === undefined) throw new Error('SHA-256 gave no digest');
  return { digest, size };
}
