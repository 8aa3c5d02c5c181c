import { deb822Fields } from './apt-sources.ts';
import { compareDebianVersions } from './debian-version.ts';
import { allPackages, type PackageLock } from './package-lock.ts';

/** A package as a repository has it. */
export interface AvailablePackage {
  readonly name: string;
  readonly version: string;
  /** Debian's word; `all` for every one. */
  readonly architecture: string;
}

/** A package of a lock of which there is a newer version. */
export interface SecurityUpdate {
  readonly package: string;
  readonly from: string;
  readonly to: string;
}

/** Packages of the lock, loaders' too, of which there is a newer version, sorted by name, each once. */
export function findUpdates(
  lock: PackageLock,
  available: readonly AvailablePackage[],
): readonly SecurityUpdate[] {
  const newest = new Map<string, string>();
  for (const { name, architecture, version } of available) {
    const key = `${name}:${architecture}`;
    const known = newest.get(key);
    if (known === undefined || compareDebianVersions(known, version) < 0) newest.set(key, version);
  }
  const found = new Map<string, SecurityUpdate>();
  for (const { name, architecture, version } of allPackages(lock)) {
    const to = newest.get(`${name}:${architecture}`);
    if (to === undefined || compareDebianVersions(version, to) >= 0) continue;
    const shown = architecture === lock.architecture || architecture === 'all';
    const label = shown ? name : `${name}:${architecture}`;
    found.set(label, { package: label, from: version, to });
  }
  return [...found.values()].sort((a, b) => (a.package < b.package ? -1 : 1));
}

/** The packages in what `apt-cache dumpavail` prints: stanzas of deb822(5). */
export function parseAvailable(text: string): readonly AvailablePackage[] {
  return text.split('\n\n').flatMap((stanza) => {
    const field = deb822Fields(stanza);
    const [name, version, architecture] = ['package', 'version', 'architecture'].map((of) =>
      field.get(of),
    );
    return name && version && architecture ? [{ name, version, architecture }] : [];
  });
}
