import { canonicalJson } from '../digest.ts';
import {
  gapOf,
  type LockGap,
  misfits,
  type PackageLock,
  type WantedPackages,
} from './package-lock.ts';

/** The lock of an image beside what the image wants. */
export interface LockState {
  readonly wanted: WantedPackages;
  readonly held: PackageLock | undefined;
  /** The lock of the image that it extends: its groups are the first of every lock that fits. */
  readonly parent: { readonly name: string; readonly lock: PackageLock } | undefined;
}

/** Why the held lock cannot be built from, in words; empty where it can. */
export function whyNotHeld(state: LockState): readonly string[] {
  const { wanted, held, parent } = state;
  if (!held) return ['it is not there'];
  if (parent && !beginsWith(held, parent.lock)) {
    return [`it was made for other packages of ${parent.name}, which the image extends`];
  }
  return misfits(held, wanted);
}

/** What to resolve so that a lock holds what is wanted; `renew` takes nothing from the held one. */
export function gapIn(state: LockState, renew = false): LockGap {
  const { wanted, held, parent } = state;
  if (!parent) return gapOf(renew ? undefined : held, wanted);
  if (!renew && held && beginsWith(held, parent.lock)) return gapOf(held, wanted);
  const gap = gapOf({ ...parent.lock, loaders: held?.loaders ?? parent.lock.loaders }, wanted);
  // Its own versions stay where they go with what is below by now.
  const own = renew ? [] : (held?.groups ?? []).flatMap((group) => group.packages);
  const below = new Set(parent.lock.groups.flatMap((group) => group.packages.map((p) => p.name)));
  return { ...gap, pins: own.filter(({ name }) => !below.has(name)) };
}

/** The lock where nothing is left to resolve; undefined where something is. */
export function lockWithoutGap(wanted: WantedPackages, gap: LockGap): PackageLock | undefined {
  if (gap.ask.length + gap.loaders.length > 0 || gap.keep.length === 0) return undefined;
  const { suite, architecture, variant } = wanted;
  const loaders = { asked: wanted.loaders, packages: gap.keepLoaders };
  return { suite, architecture, variant, groups: gap.keep, loaders };
}

function beginsWith(lock: PackageLock, parent: PackageLock): boolean {
  const first = lock.groups.slice(0, parent.groups.length);
  return canonicalJson(first) === canonicalJson(parent.groups);
}
