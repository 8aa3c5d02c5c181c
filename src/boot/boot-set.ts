import { type Digest, digestOfValue } from '../digest.ts';
import type { SharedSecret } from '../roles/shared-secret.ts';
import type { Blob, RootLayers } from './image-manifest.ts';

/** What one node boots; immutable, named by its own digest. */
export interface BootSet {
  readonly digest: Digest;
  /** Node name; a spare's name is `spare-` and its MAC's digits. */
  readonly node: string;
  readonly roles: readonly string[];
  /** Digest of the image's manifest. */
  readonly image: Digest;
  readonly kernel: Blob;
  readonly initramfs: Blob;
  readonly root: RootLayers;
  readonly overlay: Blob;
  /** Kernel arguments that do not change from boot to boot. */
  readonly arguments: readonly string[];
  /** What it gets of the secrets that nodes share; absent where that is nothing. */
  readonly secrets?: readonly SharedSecret[];
}

/** A boot set with the digest of its other fields. */
export function createBootSet(parts: Omit<BootSet, 'digest'>): BootSet {
  return { digest: digestOfValue(parts), ...parts };
}

/** The boot set that was kept as a JSON text. Of sets kept before images had layers, the root is one blob. */
export function readBootSet(text: string): BootSet {
  const set = JSON.parse(text) as Omit<BootSet, 'root'> & { readonly root: Blob | RootLayers };
  return { ...set, root: 'digest' in set.root ? [set.root] : set.root };
}
