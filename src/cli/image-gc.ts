import type { Command } from 'commander';
import { z } from 'zod';
import { rootSize } from '../boot/image-manifest.ts';
import type { Digest } from '../digest.ts';
import { AppError } from '../errors.ts';
import { heldImageSchema } from '../http/api-schemas.ts';
import { underBuildLock } from '../images/build-lock.ts';
import { type ImageListing, type ImageStore, openImageStore } from '../images/image-store.ts';
import { claimImages } from '../images/image-use.ts';
import { type GcPlan, planGc } from '../images/plan-gc.ts';
import { type HeldImage, readHeldImages } from '../state/held-images.ts';
import { fetchAdmin } from './admin-client.ts';
import { type GlobalOptions, say } from './command.ts';
import { confirm } from './confirm.ts';
import { mebibytes, shortDigest } from './find-image.ts';
import { renderTable } from './table.ts';

interface GcOptions {
  readonly past: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** `image gc`: deletes images that nobody needs. */
export function registerGc(image: Command, globals: () => GlobalOptions): void {
  image
    .command('gc')
    .description('delete images that no tag, no earlier publication and no boot needs; asks first')
    .option('--past <count>', 'keep this many that were published before', '2')
    .option('--dry-run', 'show what would be deleted, and why the others stay')
    .option('--yes', 'do not ask')
    .action(async (options: GcOptions) => {
      if (!/^\d{1,3}$/.test(options.past)) {
        throw new AppError('usage', `--past ${options.past} is no count`, '--past 2');
      }
      const { state } = globals();
      // Nothing may come in between what is shown and what is done.
      await underBuildLock(state, () => collect(globals(), openImageStore(state), options));
    });
}

async function collect(
  globals: GlobalOptions,
  store: ImageStore,
  options: GcOptions,
): Promise<void> {
  const images = await store.list();
  const facts = {
    images,
    published: await publishedOf(store, images),
    held: await heldImages(globals),
    past: Number(options.past),
  };
  const unneeded = planGc({ ...facts, inUse: new Set() }).deleted;
  // From here on no other command begins to use what goes.
  const { inUse, release } = await claimImages(
    globals.state,
    unneeded.map(({ digest }) => digest),
  );
  try {
    await deleteImages(globals, store, planGc({ ...facts, inUse }), options);
  } finally {
    await release();
  }
}

async function deleteImages(
  { json }: GlobalOptions,
  store: ImageStore,
  plan: GcPlan,
  { dryRun, yes }: Pick<GcOptions, 'dryRun' | 'yes'>,
): Promise<void> {
  if (!json) say(renderPlan(plan));
  const digests = plan.deleted.map(({ digest }) => digest);
  if (dryRun) {
    if (json) say(renderJson(plan, false, plan.bytes));
    return;
  }
  if (digests.length > 0 && !yes) await confirm('delete');
  const bytes = await store.remove(digests);
  if (json) return say(renderJson(plan, true, bytes));
  if (digests.length > 0 || bytes > 0) {
    const what = digests.length === 1 ? '1 image' : `${digests.length} images`;
    say(`deleted ${what}, ${mebibytes(bytes)}`);
  }
}

async function publishedOf(store: ImageStore, images: readonly ImageListing[]) {
  const places = new Map(
    images.map(({ manifest: { name, architecture } }) => [
      `${name}/${architecture}`,
      { name, architecture },
    ]),
  );
  return Promise.all(
    [...places.values()].map(({ name, architecture }) => store.published(name, architecture)),
  );
}

/** What boots need: by the word of the server, which has its folder for itself, or else from the folder. */
async function heldImages(globals: GlobalOptions): Promise<readonly HeldImage[]> {
  const answer = await fetchAdmin(globals, '/api/v1/images/held').catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'server-not-reached') return undefined;
    throw error;
  });
  if (answer === undefined) return readHeldImages(globals.state);
  return z
    .array(heldImageSchema)
    .parse(answer)
    .map(({ image, nodes }) => ({ image: image as Digest, nodes }));
}

function renderPlan({ kept, deleted, bytes }: GcPlan): string {
  if (kept.length + deleted.length === 0) return 'no image yet: rolecall build';
  const row = (image: ImageListing, why: string) => [
    image.manifest.name,
    image.manifest.architecture,
    shortDigest(image),
    mebibytes(rootSize(image.manifest.root)),
    why,
  ];
  const table = renderTable(
    ['image', 'architecture', 'digest', 'root', 'gc'],
    [
      ...kept.map(({ image, why }) => row(image, `stays: ${why}`)),
      ...deleted.map((image) => row(image, 'goes')),
    ],
  );
  if (deleted.length === 0) return `${table}\n\nevery image is needed`;
  return `${table}\n\n${deleted.length} of ${kept.length + deleted.length} images go, ${mebibytes(bytes)}`;
}

function renderJson({ kept, deleted }: GcPlan, done: boolean, bytes: number): string {
  const rows = [
    ...kept.map(({ image, why }) => ({ digest: image.digest, deleted: false, why })),
    ...deleted.map(({ digest }) => ({ digest, deleted: done, why: '' })),
  ];
  return JSON.stringify([{ images: rows, bytes }], null, 2);
}
