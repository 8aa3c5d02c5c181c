import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { gatherFacts } from './build-facts.ts';
import { underBuildLock } from './build-lock.ts';
import { type BuildPlace, placesOf } from './build-places.ts';
import { packagesOf, type Step, type StepId } from './build-step.ts';
import { forgetUnused, limitCache, markUsed } from './cache-limit.ts';
import { comparePackages, type PackageChange } from './compare-images.ts';
import { type BuildEvent, executeBuild, stepsToRun, sweepCache } from './execute-build.ts';
import { type ImageStore, openImageStore, type StoredImage } from './image-store.ts';
import { endFailed } from './keep-failed.ts';
import { writeLockFile } from './lock-file.ts';
import { lookForUpdates } from './look-for-updates.ts';
import { isNoted, noteBuild } from './note-build.ts';
import { allPackages, versionsOf } from './package-lock.ts';
import { openPackageSupply } from './package-supply.ts';
import { planBuild } from './plan-build.ts';
import { plannedOutputs } from './planned-outputs.ts';
import { presentImage } from './present-image.ts';
import { resolveLocks } from './resolve-locks.ts';
import type { SecurityUpdate } from './security-updates.ts';
import { forgetOutput, outputOf } from './step-output.ts';
import { executors } from './steps/executors.ts';

export interface BuildRequest extends BuildPlace {
  /** Packages that the roles ask for. */
  readonly rolePackages: readonly string[];
  /** Files of secrets that hooks may ask for, by name. */
  readonly secrets?: Readonly<Record<string, string>>;
  /**
   * `extend`: what the lock holds, and today's versions of what it lacks. `update`: today's versions of all.
   * `locked`: what the lock holds, else refuse.
   */
  readonly versions: 'extend' | 'update' | 'locked';
  /** Asked before an update changes versions; throws to leave all as it is. */
  readonly approve?: (changes: readonly PackageChange[]) => Promise<void>;
  /** Bytes that packages and outputs may take together, those that this build uses left out of account. */
  readonly cacheLimit?: number;
  /** Move the tag `published` too; the first build of an image does so anyway. */
  readonly publish: boolean;
  /** Leave the folder of a build that fails, and say where it is. */
  readonly keepFailed?: boolean;
  /** Whether the site lets this image be published. */
  readonly mayPublish: (store: ImageStore, image: StoredImage) => Promise<boolean>;
  /** A Debian mirror instead of the host's own. */
  readonly mirror?: string;
  readonly now: () => number;
  readonly onEvent: (event: BuildEvent) => void;
}

export interface BuildResult {
  readonly image: StoredImage;
  /** False where nothing had changed and nothing was done. */
  readonly built: boolean;
  /** Whether this build moved the tag `published`. */
  readonly published: boolean;
  /** Packages by which the lock has changed. */
  readonly changes: readonly PackageChange[];
  /** Security updates that the lock does not hold; looked for where a lock is insisted on. */
  readonly securityUpdates: readonly SecurityUpdate[];
}

/**
 * Builds the image, or finds that it is built. One build at a time for a state folder.
 * Killed at any moment, it leaves the published image as it was, and the next build succeeds.
 */
export async function buildImage(request: BuildRequest): Promise<BuildResult> {
  requireRoot();
  const { state, cache = state } = request;
  const build = () => buildUnderLock(request);
  // Builds of two state folders may share a cache.
  return underBuildLock(state, () => (cache === state ? build() : underBuildLock(cache, build)));
}

async function buildUnderLock(request: BuildRequest): Promise<BuildResult> {
  const { definition, architecture, state, now, onEvent, secrets = {} } = request;
  const { cache, work, lockFile, planFile, answerFile, modules } = placesOf(request);
  const store = openImageStore(state);
  await store.sweep();
  await rm(work, { recursive: true, force: true });
  const supply = openPackageSupply({ ...request, ...placesOf(request) });
  const locks = await resolveLocks({ ...request, lockFile }, supply);
  const own = locks.at(-1);
  const changes = comparePackages(versionsOf(own?.held), versionsOf(own?.lock));
  const facts = await gatherFacts(definition, locks);
  const steps = planBuild(definition, facts);
  const stored = await presentImage(store, cache, steps);
  // A build may have been killed between the image and its notes.
  const present = stored && (await isNoted(store, stored)) ? stored : undefined;
  const last = steps.at(-1);
  const writeLocks = async () => {
    for (const { file, held, lock } of locks) if (lock !== held) await writeLockFile(file, lock);
  };
  if (!present && last) {
    // Its output may be there while blobs that it put into the store are not.
    await forgetOutput(cache, last);
    const toRun = await stepsToRun(steps, { cache, onEvent });
    requireSecrets(steps, toRun, secrets);
    await supply.provide(steps.filter(({ id }) => toRun.has(id)).flatMap(packagesOf));
    // Before the steps: a build that is killed goes on with the same versions.
    await writeLocks();
    const { packages } = supply;
    await executeBuild(steps, toRun, {
      ...{ executors, cache, work, store, packages, secrets, modules, now, onEvent },
    }).catch(async (error: unknown) => {
      throw await endFailed(work, request.keepFailed ?? false, error);
    });
  } else await writeLocks();
  const image = present ?? (await presentImage(store, cache, steps));
  if (!image) throw new Error('the build left no image');
  const read = steps.find((step) => step.kind === 'facts');
  if (!present && read) {
    const factsOutput = outputOf(cache, read);
    await noteBuild(store, image, { steps, ...facts, factsOutput });
  }
  await store.tag(image.digest, 'built');
  const [before] = await store.published(definition.name, architecture);
  const files = locks.flatMap(({ lock }) =>
    allPackages(lock).flatMap((of) => supply.packages.files(of)),
  );
  const used = new Set([...files, ...steps.map((step) => outputOf(cache, step))]);
  // Where nothing was to be done too: builds of other images delete what was not used for long. Outputs that a plan
  // names they leave, where there is no limit.
  await markUsed(request.cacheLimit === undefined ? files : used, now());
  if (!present || request.cacheLimit !== undefined) {
    await tidyCache(request, await plannedOutputs(planFile, steps, store), used);
  }
  const publishes =
    (request.publish || !before) &&
    before !== image.digest &&
    (await request.mayPublish(store, image));
  if (publishes) await store.tag(image.digest, 'published');
  const securityUpdates =
    own && request.versions === 'locked'
      ? await lookForUpdates(supply, own.lock, { ...request, answerFile })
      : [];
  return { image, built: !present, published: publishes, changes, securityUpdates };
}

/**
 * Without a limit, outputs that no plan names go, and packages that no build of this month has read. With
 * one, both stay for as long as there is room: builds of other branches may want them.
 */
async function tidyCache(
  request: BuildRequest,
  planned: ReadonlySet<string>,
  used: ReadonlySet<string>,
): Promise<void> {
  const { cache, outputs, packages, aptCache, modules } = placesOf(request);
  const { cacheLimit, now } = request;
  // Where versions before the lock kept packages; nothing reads them any more.
  await rm(join(aptCache, 'archives'), { recursive: true, force: true });
  if (cacheLimit !== undefined) {
    const images = await readdir(outputs, { withFileTypes: true }).catch(() => []);
    const folders = images.filter((e) => e.isDirectory()).map((e) => join(outputs, e.name));
    await limitCache([packages, ...folders], used, cacheLimit);
    return;
  }
  await sweepCache(cache, planned);
  const month = now() - 31 * 86_400_000;
  for (const folder of [packages, modules]) await forgetUnused(folder, used, month);
}

/** Refuses before anything is done, with all that is missing. */
function requireSecrets(
  steps: readonly Step[],
  toRun: ReadonlySet<StepId>,
  secrets: Readonly<Record<string, string>>,
): void {
  const hooks = steps.flatMap((step) =>
    step.kind === 'customize' && toRun.has(step.id) ? step.hooks : [],
  );
  const asked = [...new Set(hooks.flatMap((hook) => hook.secrets))];
  const missing = asked.filter((name) => secrets[name] === undefined);
  if (missing.length === 0) return;
  throw new AppError(
    'no-secret',
    `hooks want ${missing.join(', ')}, and no file was given for ${missing.length === 1 ? 'it' : 'them'}`,
    `rolecall build ${missing.map((name) => `--secret ${name}=FILE`).join(' ')}`,
  );
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new AppError(
    'not-root',
    'an image is built by root, or by root of a user namespace: its files belong to many users',
    'rolecall build does either',
  );
}
