import type { Digest } from '../digest.ts';
import type { ImageFacts } from '../roles/image-facts.ts';

/** One file in the image store. */
export interface Blob {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** An image: what its parts are and what is in them. The image's digest is that of this value. */
export interface ImageManifest extends ImageFacts {
  readonly format: 1;
  readonly name: string;
  /** Debian's word: `amd64`, `arm64`. */
  readonly architecture: string;
  readonly suite: string;
  /** `uname -r` of the kernel. */
  readonly kernelVersion: string;
  readonly kernel: Blob;
  readonly initramfs: Blob;
  readonly root: Blob;
  /** Loaders by file name, such as `undionly.kpxe`. */
  readonly loaders: Readonly<Record<string, Blob>>;
}
