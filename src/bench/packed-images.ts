import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { rootSize } from '../boot/image-manifest.ts';
import type { Compression } from '../images/image-definition.ts';
import {
  type ImageStore,
  openImageStore,
  partsOf,
  type StoredImage,
} from '../images/image-store.ts';
import { packSquashfs } from '../images/pack-squashfs.ts';
import { runProgram } from '../system/run-program.ts';

/** An image whose root is packed in one way. */
export interface PackedImage {
  readonly image: StoredImage;
  /** `zstd 3`. */
  readonly packing: string;
  readonly mebibytes: number;
  /** What packing took; absent of the image as it was built. */
  readonly seconds?: number;
}

/** `zstd 3`, or `lz4`. */
export function describePacking({ type, level }: Compression): string {
  return level === undefined ? type : `${type} ${level}`;
}

/**
 * A store in a state folder of its own that holds the image, first, and beside it the same image with its root
 * packed otherwise, named `packed-<type>`.
 */
export async function packOtherwise(
  state: string,
  store: ImageStore,
  { manifest }: StoredImage,
  own: Compression,
  others: readonly Compression[],
): Promise<readonly PackedImage[]> {
  await mkdir(state, { recursive: true });
  const to = openImageStore(state);
  for (const [, { digest }] of partsOf(manifest)) await to.addBlob(store.blobPath(digest));
  const packed: PackedImage[] = [
    {
      image: await to.addImage(manifest),
      packing: describePacking(own),
      mebibytes: mebibytesOf(rootSize(manifest.root)),
    },
  ];
  const root = join(state, 'unpacked');
  await unpackRoot(root, store, manifest);
  for (const compression of others) {
    const file = join(state, 'root.squashfs');
    const begin = performance.now();
    await packSquashfs(root, file, 0, compression);
    const seconds = (performance.now() - begin) / 1000;
    const blob = await to.addBlob(file);
    const name = `packed-${compression.type}`;
    packed.push({
      image: await to.addImage({ ...manifest, name, root: [blob] }),
      packing: describePacking(compression),
      mebibytes: mebibytesOf(blob.size),
      seconds,
    });
    await rm(file);
  }
  await rm(root, { recursive: true });
  return packed;
}

/** Unpacks all layers of an image's root into a folder. */
export async function unpackRoot(
  root: string,
  store: ImageStore,
  { root: layers }: StoredImage['manifest'],
): Promise<void> {
  for (const { digest } of layers) {
    await runProgram('unsquashfs', ['-f', '-q', '-n', '-d', root, store.blobPath(digest)]);
  }
}

function mebibytesOf(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}
