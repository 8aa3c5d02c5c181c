import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { writeLocalRepository } from './local-repository.ts';
import type { PackageCache } from './package-cache.ts';
import {
  isOf,
  type LockedPackage,
  type LockGap,
  type PackageGroup,
  type PackageLock,
  type WantedPackages,
} from './package-lock.ts';
import { openSuiteApt, type SuiteApt } from './suite-apt.ts';
import type { SuiteSources } from './suite-sources.ts';

export interface ResolvePlace {
  /** apt's indices, kept from build to build. */
  readonly indices: string;
  readonly scratch: string;
  readonly sources: SuiteSources;
  readonly cache: PackageCache;
  readonly now: () => number;
}

/** Finds in the suite as it is today what the gap asks for, and gives back a lock that holds all that is wanted. */
export async function resolvePackages(
  wanted: WantedPackages,
  gap: LockGap,
  place: ResolvePlace,
): Promise<PackageLock> {
  const { suite, architecture, variant } = wanted;
  const groups: PackageGroup[] = [...gap.keep];
  if (gap.ask.length > 0 || groups.length === 0) {
    const kept = groups.flatMap((group) => group.packages);
    const held = await Promise.all(kept.map((of) => place.cache.control(of)));
    const base =
      groups.length === 0 && variant === 'minbase' ? basePatterns(suite, architecture) : [];
    const apt = await openApt(place, 'installed', architecture, []);
    const world = { held, pins: gap.pins, ...(await pinnedRepository(suite, gap, place)) };
    const packages = await apt.install([...base, ...gap.ask], world).catch((error: unknown) => {
      throw notResolved(error, suite, kept.length > 0);
    });
    groups.push({ asked: gap.ask, packages });
  }
  const fresh = await resolveLoaders(wanted, gap, place);
  const found = [...gap.keepLoaders, ...fresh];
  const absent = wanted.loaders.filter((name) => !found.some((of) => isOf(name, of)));
  if (absent.length > 0) {
    throw new AppError(
      'no-package',
      `${suite} has no ${absent.join(', ')}, which loaders are taken from`,
      'correct loaders: in the image definition',
    );
  }
  const loaders = { asked: wanted.loaders, packages: found.sort(byName) };
  return { suite, architecture, variant, groups, loaders };
}

async function resolveLoaders(
  { suite, architecture }: WantedPackages,
  { loaders }: LockGap,
  place: ResolvePlace,
): Promise<LockedPackage[]> {
  if (loaders.length === 0) return [];
  const foreign = loaders.map((name) => name.split(':')[1] ?? architecture);
  const apt = await openApt(place, 'loaders', architecture, foreign);
  return apt.download(loaders).catch((error: unknown) => {
    throw notResolved(error, suite, false);
  });
}

/** An apt for each use: one that changed its architectures would read all indices again. */
async function openApt(
  { indices, sources, now }: ResolvePlace,
  use: string,
  architecture: string,
  foreign: readonly string[],
): Promise<SuiteApt> {
  const folder = join(indices, use);
  const apt = await openSuiteApt({ folder, sources, architecture, foreign, now });
  await apt.update().catch((error: unknown) => {
    throw notRead(error);
  });
  return apt;
}

function notRead(error: unknown): unknown {
  if (!(error instanceof AppError) || error.hint) return error;
  const hint =
    'check the network and the mirror (apt-get update), then run it again, or name another one: rolecall build --mirror URL';
  return new AppError('no-index', `the mirror's indices cannot be read: ${error.message}`, hint, {
    cause: error,
  });
}

/** What mmdebstrap's minbase takes, as apt-patterns(7); none of another architecture. */
function basePatterns(suite: string, architecture: string): string[] {
  const of = `?or(?archive(^${suite}$),?codename(^${suite}$)),?architecture(${architecture})`;
  return [`?narrow(${of},?essential)`, `?narrow(${of},?priority(required))`, 'apt'];
}

/** Pinned versions that the mirror may have no more, as far as their files are here. */
async function pinnedRepository(suite: string, gap: LockGap, place: ResolvePlace) {
  if (gap.pins.length === 0) return {};
  const { absent, damaged } = await place.cache.missing(gap.pins);
  const lacking = new Set([...absent, ...damaged]);
  const repository = join(place.scratch, 'pinned');
  await rm(repository, { recursive: true, force: true });
  await mkdir(place.scratch, { recursive: true });
  const there = gap.pins.filter((of) => !lacking.has(of));
  await writeLocalRepository(repository, suite, there, place.cache);
  return { repository };
}

function notResolved(error: unknown, suite: string, extends_: boolean): unknown {
  if (!(error instanceof AppError) || error.hint) return error;
  const missing = [...error.message.matchAll(/Unable to locate package (\S+)/g)].map((m) => m[1]);
  if (missing.length > 0) {
    return new AppError(
      'no-package',
      `${suite} has no package ${missing.join(', ')}`,
      'correct the name in images/*.yaml or in a role.yaml',
      { cause: error },
    );
  }
  const hint = extends_
    ? 'what was added does not go with the versions of the lock: rolecall build --update renews them all'
    : 'the lines above name the packages that do not go together';
  return new AppError('not-resolved', error.message, hint, { cause: error });
}

function byName(a: LockedPackage, b: LockedPackage): number {
  return `${a.name} ${a.architecture}` < `${b.name} ${b.architecture}` ? -1 : 1;
}
