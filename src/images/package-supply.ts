import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import type { BuildEvent } from './execute-build.ts';
import { chainOf, type ImageDefinition } from './image-definition.ts';
import { openPackageCache, type PackageCache } from './package-cache.ts';
import type { LockedPackage, LockGap, PackageLock, WantedPackages } from './package-lock.ts';
import { resolvePackages } from './resolve-packages.ts';
import type { AvailablePackage } from './security-updates.ts';
import { openSuiteApt } from './suite-apt.ts';
import { findSuiteSources, type SuiteSources } from './suite-sources.ts';

/** Where a build has its packages from: the cache, and the mirror for what it lacks. */
export interface PackageSupply {
  readonly packages: PackageCache;
  /** Makes a lock of what is in the suite today. */
  resolve(wanted: WantedPackages, gap: LockGap): Promise<PackageLock>;
  /** Whether a mirror has firmware that is not free. */
  hasFirmware(): Promise<boolean>;
  /**
   * What the suite's security archive has today, of these architectures; undefined where no mirror of it answers
   * within seconds, or none is known.
   */
  securityPackages(
    architectures: readonly string[],
  ): Promise<readonly AvailablePackage[] | undefined>;
  /** Sees to it that every one of these is in the cache, to the byte. */
  provide(packages: readonly LockedPackage[]): Promise<void>;
}

export interface PackageSupplyPlace {
  readonly definition: ImageDefinition;
  readonly architecture: string;
  readonly mirror?: string;
  readonly aptCache: string;
  readonly work: string;
  readonly now: () => number;
  readonly onEvent: (event: BuildEvent) => void;
}

/** Where in the cache packages lie. */
export function packagesFolder(aptCache: string): string {
  return join(aptCache, 'packages');
}

/** Milliseconds: what is only worth knowing must not hold up a build that no network reaches. */
const quick = 20_000;

/** A supply that asks the network only when it must. */
export function openPackageSupply(place: PackageSupplyPlace): PackageSupply {
  const { aptCache, work, now, onEvent } = place;
  const folder = packagesFolder(aptCache);
  const { suite, distribution } = place.definition;
  const packages = openPackageCache(folder);
  let found: Promise<SuiteSources> | undefined;
  const request = {
    ...{ distribution, suite, scratch: join(aptCache, 'indices') },
    extra: chainOf(place.definition).flatMap((image) => image.sources),
    ...(place.mirror === undefined ? {} : { mirror: place.mirror }),
  };
  const sources = () => {
    found ??= findSuiteSources(request);
    return found;
  };
  const provide: PackageSupply['provide'] = async (wanted) => {
    await mkdir(folder, { recursive: true });
    const { absent, damaged } = await packages.missing([...new Set(wanted)]);
    for (const { name, version } of damaged) {
      const text = `the kept package ${name} ${version} is damaged and is fetched again`;
      onEvent({ kind: 'warning', text });
    }
    const lacking = [...absent, ...damaged];
    if (lacking.length === 0) return;
    await packages.fetch(lacking, await sources(), (progress) =>
      onEvent({ kind: 'fetching', ...progress }),
    );
  };
  return {
    packages,
    provide,
    hasFirmware: async () => (await sources()).firmware,
    securityPackages: async (architectures) => {
      const [architecture = place.architecture, ...foreign] = architectures;
      try {
        const at = await (found ?? findSuiteSources({ ...request, patience: quick }));
        const security = at.sources.filter((source) => source.suite === `${suite}-security`);
        if (security.length === 0) return undefined;
        const apt = await openSuiteApt({
          folder: join(aptCache, 'indices', `${suite}-${place.architecture}`, 'security'),
          sources: {
            ...at,
            sources: security,
            // Of a setting that is named twice apt takes the last.
            aptOptions: [...at.aptOptions, 'Acquire::Retries "0";'],
          },
          ...{ architecture, foreign, now },
        });
        await apt.update(quick);
        return await apt.available();
      } catch (error) {
        if (error instanceof AppError) return undefined;
        throw error;
      }
    },
    resolve: async (wanted, gap) => {
      onEvent({ kind: 'resolving', text: `looking up packages in ${suite}` });
      const at = await sources();
      if (!at.security) {
        const why = at.failures.filter((text) => text.includes(`/${suite}-security/`));
        const text = `no mirror has ${suite}-security: the image gets no security updates${why.map((line) => `\n  ${line}`).join('')}`;
        onEvent({ kind: 'warning', text });
      }
      // Their control files say what they provide to what is added.
      const kept = gap.keep.flatMap((group) => group.packages);
      await provide(await packages.withoutControl(kept));
      return resolvePackages(wanted, gap, {
        indices: join(aptCache, 'indices', `${suite}-${place.architecture}`),
        scratch: work,
        sources: at,
        cache: packages,
        now,
      });
    },
  };
}
