import type { ImageManifest } from '../boot/image-manifest.ts';
import { compareDebianVersions } from './debian-version.ts';

/** A package that differs; `from` or `to` is null where that image has none of it. */
export interface PackageChange {
  readonly package: string;
  readonly change: 'added' | 'removed' | 'upgraded' | 'downgraded' | 'rewritten';
  readonly from: string | null;
  readonly to: string | null;
}

/** Packages that differ between two images, sorted by name. */
export function comparePackages(
  from: ImageManifest['packages'],
  to: ImageManifest['packages'],
): PackageChange[] {
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])].sort();
  return names.flatMap((name): PackageChange[] => {
    const [before, after] = [from[name] ?? null, to[name] ?? null];
    if (before === after) return [];
    return [{ package: name, change: changeOf(before, after), from: before, to: after }];
  });
}

function changeOf(before: string | null, after: string | null): PackageChange['change'] {
  if (before === null) return 'added';
  if (after === null) return 'removed';
  const order = compareDebianVersions(before, after);
  // 1.0 and 1.0-0 are the same version in other letters.
  return order < 0 ? 'upgraded' : order > 0 ? 'downgraded' : 'rewritten';
}
