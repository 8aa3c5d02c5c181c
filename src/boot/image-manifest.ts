import type { Digest } from '../digest.ts';
import { AppError } from '../errors.ts';
import type { ImageFacts } from '../roles/image-facts.ts';

/** One file in the image store. */
export interface Blob {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** Layers of a root, each a squashfs: the lowest first, of most images the only one. */
export type RootLayers = readonly Blob[];

/** An image: what its parts are and what is in them. The image's digest is that of its manifest's text. */
export interface ImageManifest extends ImageFacts {
  readonly format: 2;
  readonly name: string;
  /** Debian's word: `amd64`, `arm64`. */
  readonly architecture: string;
  readonly suite: string;
  /** `uname -r` of the kernel. */
  readonly kernelVersion: string;
  readonly kernel: Blob;
  readonly initramfs: Blob;
  readonly root: RootLayers;
  /** Loaders by file name, such as `undionly.kpxe`. */
  readonly loaders: Readonly<Record<string, Blob>>;
}

/**
 * The manifest in a JSON text. Until format 2 a root was one squashfs and not a list: such an image boots as
 * before. Refuses a format that this program does not know (`unknown-manifest`).
 */
export function readManifest(text: string): ImageManifest {
  const manifest = JSON.parse(text) as { readonly format: number; readonly root: unknown };
  switch (manifest.format) {
    case 1:
      return { ...manifest, format: 2, root: [manifest.root] } as unknown as ImageManifest;
    case 2:
      return manifest as unknown as ImageManifest;
  }
  throw new AppError(
    'unknown-manifest',
    `the image has the format ${String(manifest.format)}; this rolecall knows 1 and 2`,
    'use the version of rolecall that built it, or build it anew: rolecall build',
  );
}

/** Bytes of all layers of a root. */
export function rootSize(root: RootLayers): number {
  return root.reduce((sum, { size }) => sum + size, 0);
}
