import { AppError } from '../errors.ts';
import { comparePackages, type PackageChange } from './compare-images.ts';
import type { Architecture } from './distributions/distribution.ts';
import type { BuildEvent } from './execute-build.ts';
import { chainOf, type ImageDefinition } from './image-definition.ts';
import { gapIn, type LockState, lockWithoutGap, whyNotHeld } from './lock-chain.ts';
import { readLockFile } from './lock-file.ts';
import { type PackageLock, unresolvedLock, versionsOf } from './package-lock.ts';
import type { PackageSupply } from './package-supply.ts';
import { firmwarePackages, wantedPackages } from './wanted-packages.ts';

export interface LocksRequest {
  readonly definition: ImageDefinition;
  readonly architecture: Architecture;
  /** Packages that the roles ask for. */
  readonly rolePackages: readonly string[];
  /** File of the lock of an image, by its name. */
  readonly lockFile: (image: string) => string;
}

export interface ResolveRequest extends LocksRequest {
  readonly versions: 'extend' | 'update' | 'locked';
  readonly approve?: (changes: readonly PackageChange[]) => Promise<void>;
  readonly onEvent: (event: BuildEvent) => void;
}

/** The lock of one image. */
export interface ImageLock {
  readonly file: string;
  /** As its file has it. */
  readonly held: PackageLock | undefined;
  /** To build from; the held one itself where it fits. */
  readonly lock: PackageLock;
}

interface LockPlace extends LockState {
  readonly definition: ImageDefinition;
  readonly file: string;
}

/** The locks of the image and of those that it extends, the lowest first; resolved where what is held does not fit. */
export function resolveLocks(request: ResolveRequest, supply: PackageSupply): Promise<ImageLock[]> {
  return locksOf(request, (at) => lockFor(request, at, supply));
}

/** The same without asking a network: packages that nobody has resolved yet have no versions in it. */
export function previewLocks(request: LocksRequest): Promise<ImageLock[]> {
  return locksOf(request, async (at) => {
    const fits = at.held && whyNotHeld(at).length === 0;
    return fits && at.held ? at.held : unresolvedLock(at.wanted, gapIn(at));
  });
}

async function locksOf(
  { definition, architecture, rolePackages, lockFile }: LocksRequest,
  lockOf: (at: LockPlace) => Promise<PackageLock>,
): Promise<ImageLock[]> {
  const locks: ImageLock[] = [];
  let parent: LockState['parent'];
  for (const image of chainOf(definition)) {
    const file = lockFile(image.name);
    const held = await readLockFile(file);
    const wanted = wantedPackages(image, architecture, rolePackages);
    const lock = await lockOf({ definition: image, file, wanted, held, parent });
    locks.push({ file, held, lock });
    parent = { name: image.name, lock };
  }
  return locks;
}

async function lockFor(
  request: ResolveRequest,
  place: LockPlace,
  supply: PackageSupply,
): Promise<PackageLock> {
  const at = await withFirmwareThatIsThere(request, place, supply);
  const { wanted, held, file, definition } = at;
  const wrong = whyNotHeld(at);
  if (request.versions === 'locked' && wrong.length > 0) {
    throw new AppError(
      'lock-misfit',
      `the lock ${file} does not fit the image ${definition.name}:${wrong.map((text) => `\n  ${text}`).join('')}`,
      'rolecall build brings it up to date; then commit it',
    );
  }
  // The versions of what an image extends are renewed by an update of that one.
  const renew = request.versions === 'update' && definition === request.definition;
  if (held && wrong.length === 0 && !renew) return held;
  const gap = gapIn(at, renew);
  const lock = lockWithoutGap(wanted, gap) ?? (await supply.resolve(wanted, gap));
  if (renew && held) {
    const changes = comparePackages(versionsOf(held), versionsOf(lock));
    if (changes.length === 0 && wrong.length === 0) return held;
    await request.approve?.(changes);
  }
  return lock;
}

/** The same without firmware that no mirror has: an image may be built without it, but not silently. */
async function withFirmwareThatIsThere(
  { versions, architecture, onEvent }: ResolveRequest,
  at: LockPlace,
  supply: PackageSupply,
): Promise<LockPlace> {
  const firmware = firmwarePackages(at.definition, architecture);
  if (firmware.length === 0 || whyNotHeld(at).length === 0) return at;
  const packages = at.wanted.packages.filter((name) => !firmware.includes(name));
  const without = { ...at, wanted: { ...at.wanted, packages } };
  const isThere =
    versions === 'locked' ? whyNotHeld(without).length > 0 : await supply.hasFirmware();
  if (isThere) return at;
  const { firmwareComponent } = at.definition.distribution;
  const why =
    versions === 'locked' ? 'the lock holds no firmware' : `no mirror has ${firmwareComponent}`;
  onEvent({ kind: 'warning', text: `${why}: ${at.definition.name} lacks ${firmware.join(', ')}` });
  return without;
}
