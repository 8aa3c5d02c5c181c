import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestOfValue, parseDigest } from '../digest.ts';
import { AppError } from '../errors.ts';
import { writeDurably } from '../system/durable-file.ts';
import { runProgram } from '../system/run-program.ts';
import { underBuildLock } from './build-lock.ts';
import { type BuildEvent, executeBuild, isKept, outputOf, sweepCache } from './execute-build.ts';
import type { ImageDefinition } from './image-definition.ts';
import { type ImageStore, openImageStore, type StoredImage } from './image-store.ts';
import { type BuildFacts, planBuild, type Step, type StepKind } from './plan-build.ts';
import { executors } from './steps/executors.ts';
import { findSuiteSources, type SuiteSources } from './suite-sources.ts';

export interface BuildRequest {
  readonly definition: ImageDefinition;
  readonly architecture: 'amd64' | 'arm64';
  readonly state: string;
  /** Packages that the roles ask for. */
  readonly rolePackages: readonly string[];
  /** Move the tag `published` too; the first build of an image does so anyway. */
  readonly publish: boolean;
  /** Look for newer packages; without it a build goes to the network only for what it lacks. */
  readonly update: boolean;
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
}

/** One step of `build --plan`. */
export interface PlannedStep {
  readonly step: Step;
  /** Its output is there: a build would not do it. */
  readonly kept: boolean;
}

/**
 * Builds the image, or finds that it is built. One build at a time for a state folder.
 * Killed at any moment, it leaves the published image as it was, and the next build succeeds.
 */
export async function buildImage(request: BuildRequest): Promise<BuildResult> {
  requireRoot();
  return underBuildLock(request.state, () => buildUnderLock(request));
}

/** What a build would do, and what it would not do again. Changes nothing and asks no network. */
export async function previewBuild(
  request: Pick<BuildRequest, 'definition' | 'architecture' | 'state' | 'rolePackages'>,
): Promise<PlannedStep[]> {
  const { cache, releaseFile } = placesOf(request);
  const release = await readRelease(releaseFile);
  const steps = planBuild(request.definition, await gatherFacts(request, release ?? noRelease));
  return Promise.all(steps.map(async (step) => ({ step, kept: await isKept(cache, step) })));
}

/** Stands in a preview for the release of a suite that was never looked at. */
const noRelease = digestOfValue('never looked at');

async function buildUnderLock(request: BuildRequest): Promise<BuildResult> {
  const { definition, architecture, state, now, onEvent } = request;
  const { cache, releaseFile, work, aptCache } = placesOf(request);
  const store = openImageStore(state);
  await store.sweep();
  await rm(work, { recursive: true, force: true });
  let found: Promise<SuiteSources> | undefined;
  const sources = () => {
    found ??= findSuiteSources(definition.suite, join(aptCache, 'indices'), request.mirror);
    return found;
  };
  const lookedAt = request.update ? undefined : await readRelease(releaseFile);
  let release = lookedAt ?? (await sources()).release;
  let steps = planBuild(definition, await gatherFacts(request, release));
  const present = await presentImage(store, cache, steps);
  if (!present && lookedAt && (await wantsPackages(cache, steps))) {
    // What is fetched now is of the suite as it is now: the keys must say so.
    release = (await sources()).release;
    steps = planBuild(definition, await gatherFacts(request, release));
  }
  await writeDurably(releaseFile, release);
  const last = steps.at(-1);
  if (!present && last) {
    // Its output may be there while blobs that it put into the store are not.
    await rm(outputOf(cache, last), { recursive: true, force: true });
    await executeBuild(steps, {
      ...{ executors, cache, work, store, sources, aptCache, now, onEvent },
    });
  }
  const image = present ?? (await presentImage(store, cache, steps));
  if (!image) throw new Error('the build left no image');
  await store.tag(image.digest, 'built');
  const [before] = await store.published(definition.name, architecture);
  const publishes = (request.publish || !before) && before !== image.digest;
  if (publishes) await store.tag(image.digest, 'published');
  await sweepCache(cache, steps);
  return { image, built: !present, published: publishes };
}

/** The image of the last step's output, where it and every blob of it are whole in the store. */
async function presentImage(
  store: ImageStore,
  cache: string,
  steps: readonly Step[],
): Promise<StoredImage | undefined> {
  const last = steps.at(-1);
  if (!last) return undefined;
  const text = await readFile(join(outputOf(cache, last), 'image'), 'utf8').catch(() => '');
  const digest = parseDigest(text);
  if (digest === undefined || !(await store.digests()).includes(digest)) return undefined;
  // A damaged manifest is found by verify, and made anew.
  return (await store.verify(digest)).length > 0 ? undefined : store.read(digest);
}

async function wantsPackages(cache: string, steps: readonly Step[]): Promise<boolean> {
  for (const step of steps) {
    if (step.kind !== 'bootstrap' && step.kind !== 'loaders') continue;
    if (!(await isKept(cache, step))) return true;
  }
  return false;
}

function placesOf({
  definition,
  architecture,
  state,
}: Pick<BuildRequest, 'definition' | 'architecture' | 'state'>) {
  const cache = join(state, 'build-cache', `${definition.name}-${architecture}`);
  return {
    cache,
    releaseFile: join(state, 'build-cache', `${definition.name}-${architecture}.release`),
    work: join(state, 'build-work'),
    aptCache: join(state, 'apt-cache'),
  };
}

async function readRelease(file: string): Promise<Digest | undefined> {
  return parseDigest(await readFile(file, 'utf8').catch(() => ''));
}

async function gatherFacts(
  request: Pick<BuildRequest, 'architecture' | 'rolePackages'>,
  release: Digest,
): Promise<BuildFacts> {
  const guestDir = join(import.meta.dirname, '../guest');
  return {
    architecture: request.architecture,
    rolePackages: request.rolePackages,
    release,
    tools: {
      mmdebstrap: await versionOf('mmdebstrap', '--version'),
      mksquashfs: await versionOf('mksquashfs', '-version'),
    },
    guestDir,
    guest: await digestOfTree(guestDir),
    program: await digestOfProgram(),
  };
}

async function versionOf(program: string, flag: string): Promise<string> {
  const { stdout, stderr } = await runProgram(program, [flag], { accept: [1] });
  return (stdout || stderr).split('\n')[0] ?? '';
}

/** What of this program decides a step's output besides the step's own file. */
const programOf: Readonly<Record<StepKind, readonly string[]>> = {
  assemble: ['image-store.ts'],
  bootstrap: [],
  facts: ['image-facts-of-root.ts'],
  initramfs: ['initramfs.ts', 'cpio.ts', 'kernel-modules.ts', 'modinfo.ts'],
  kernel: [],
  loaders: [],
  squash: [],
  trim: [],
};

async function digestOfProgram(): Promise<Record<StepKind, Digest>> {
  const digests: [string, Digest][] = [];
  for (const [kind, others] of Object.entries(programOf)) {
    const files = [join('steps', `${kind}.ts`), ...others];
    const texts = files.map((file) => readFile(join(import.meta.dirname, file), 'utf8'));
    digests.push([kind, digestOfValue(await Promise.all(texts))]);
  }
  return Object.fromEntries(digests) as Record<StepKind, Digest>;
}

/** Digest of the paths, modes and bytes of the files below a folder. */
async function digestOfTree(folder: string): Promise<Digest> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name));
  const rows: string[][] = [];
  for (const file of files.sort()) {
    const bytes = await readFile(file);
    rows.push([file.slice(folder.length), createHash('sha256').update(bytes).digest('hex')]);
  }
  return digestOfValue(rows);
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new AppError(
    'not-root',
    'an image is built by root: its files belong to many users',
    'sudo rolecall build',
  );
}
