import type { Blob } from '../boot/image-manifest.ts';
import type { Digest } from '../digest.ts';
import type { HeldImage } from '../state/held-images.ts';
import { type ImageListing, partsOf } from './image-store.ts';
import type { TagHistory } from './tag-history.ts';

export interface GcFacts {
  readonly images: readonly ImageListing[];
  /** What was published of each name and architecture. */
  readonly published: readonly TagHistory[];
  /** Images that boots still need. */
  readonly held: readonly HeldImage[];
  /** Images that a command on this machine reads or boots, such as `image test`. */
  readonly inUse: ReadonlySet<Digest>;
  /** How many images that were published before the one that is are kept of each name and architecture. */
  readonly past: number;
}

/** One image, and why it stays. */
export interface KeptImage {
  readonly image: ImageListing;
  readonly why: string;
}

export interface GcPlan {
  readonly kept: readonly KeptImage[];
  readonly deleted: readonly ImageListing[];
  /** Bytes of blobs that no kept image needs. */
  readonly bytes: number;
}

/**
 * Which images go: those that no tag names, that were not published lately, that no node booted or is booting, and
 * that no other command uses.
 */
export function planGc(facts: GcFacts): GcPlan {
  const kept: KeptImage[] = [];
  const deleted: ImageListing[] = [];
  for (const image of facts.images) {
    const why = reasonsFor(image, facts).join(', ');
    if (why === '') deleted.push(image);
    else kept.push({ image, why });
  }
  const needed = blobsOf(kept.map(({ image }) => image));
  const freed = [...blobsOf(deleted).values()].filter(({ digest }) => !needed.has(digest));
  return { kept, deleted, bytes: freed.reduce((sum, { size }) => sum + size, 0) };
}

function reasonsFor(image: ImageListing, { published, held, inUse, past }: GcFacts): string[] {
  const reasons: string[] = [...image.tags];
  const steps = published.map((history) => history.slice(1).indexOf(image.digest));
  if (steps.some((step) => step >= 0 && step < past)) reasons.push('published before');
  const nodes = held.find((one) => one.image === image.digest)?.nodes ?? [];
  if (nodes.length > 0) reasons.push(`booted by ${several(nodes)}`);
  if (inUse.has(image.digest)) reasons.push('in use by another command');
  return reasons;
}

function several(nodes: readonly string[]): string {
  const shown = nodes.length > 4 ? nodes.slice(0, 3) : nodes;
  const more = nodes.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}

function blobsOf(images: readonly ImageListing[]): ReadonlyMap<Digest, Blob> {
  return new Map(
    images.flatMap(({ manifest }) => partsOf(manifest).map(([, blob]) => [blob.digest, blob])),
  );
}
