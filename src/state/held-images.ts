import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../digest.ts';
import { type BootStore, openBootStore } from './boots.ts';
import { openDatabase } from './database.ts';

/** An image that boots still need, and the nodes of these boots. */
export interface HeldImage {
  readonly image: Digest;
  /** Sorted. */
  readonly nodes: readonly string[];
}

/** The images of every boot kept, of nodes that run and of boots under way; sorted by digest. */
export function heldImages(boots: Pick<BootStore, 'list' | 'set'>): readonly HeldImage[] {
  const nodes = new Map<Digest, Set<string>>();
  for (const { node, set, runs, offered } of boots.list()) {
    const next = offered === null ? undefined : boots.set(offered);
    for (const image of [set.image, runs.image, next?.image]) {
      if (image === undefined) continue;
      nodes.set(image, (nodes.get(image) ?? new Set()).add(node));
    }
  }
  return [...nodes]
    .map(([image, names]) => ({ image, nodes: [...names].sort() }))
    .sort((a, b) => (a.image < b.image ? -1 : 1));
}

/**
 * The same of a state folder whose server does not run; none where no server ever ran there. Fails with
 * `state-in-use` where one does.
 */
export function readHeldImages(stateDir: string): readonly HeldImage[] {
  const path = join(stateDir, 'rolecall.db');
  if (!existsSync(path)) return [];
  const database = openDatabase(path);
  try {
    return heldImages(openBootStore(database));
  } finally {
    database.close();
  }
}
