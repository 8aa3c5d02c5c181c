import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDigest } from '../digest.ts';
import { writeDurably } from '../system/durable-file.ts';
import type { Step } from './build-step.ts';
import { type ImageStore, partsOf, type StoredImage } from './image-store.ts';
import { isNoted } from './note-build.ts';
import { outputOf } from './step-output.ts';

/**
 * The image of the last step's output, where it and every blob of it are whole in the store. What was read to the
 * byte once is not read again while no file of it was touched since; `image verify` reads all.
 */
export async function presentImage(
  store: ImageStore,
  cache: string,
  steps: readonly Step[],
): Promise<StoredImage | undefined> {
  const last = steps.at(-1);
  if (!last) return undefined;
  const image = await assembledImage(store, cache, last);
  if (!image) return undefined;
  const seenFile = join(outputOf(cache, last), 'seen');
  const seen = await traceOf(store, image);
  if (seen && seen === (await readFile(seenFile, 'utf8').catch(() => ''))) return image;
  if ((await store.verify(image.digest)).length > 0) return undefined;
  if (seen) await writeDurably(seenFile, seen);
  return image;
}

/**
 * What the store lacks of the image that the last step has put into it, in words; undefined where it has all, by sizes.
 * Changes nothing.
 */
export async function lackInStore(
  store: ImageStore,
  cache: string,
  last: Step,
): Promise<string | undefined> {
  const image = await assembledImage(store, cache, last);
  if (!image) return 'the store has no such image';
  for (const [part, blob] of partsOf(image.manifest)) {
    if (!(await store.hasBlob(blob))) return `the store has lost the ${part}`;
  }
  return (await isNoted(store, image)) ? undefined : 'the store has no bill of materials of it';
}

/** undefined where its manifest is gone or damaged: it is made anew. */
async function assembledImage(
  store: ImageStore,
  cache: string,
  last: Step,
): Promise<StoredImage | undefined> {
  const text = await readFile(join(outputOf(cache, last), 'image'), 'utf8').catch(() => '');
  const digest = parseDigest(text);
  return digest === undefined ? undefined : store.read(digest).catch(() => undefined);
}

/** What changes when somebody writes to a blob of the image or puts another file in its place. */
async function traceOf(store: ImageStore, { manifest }: StoredImage): Promise<string | undefined> {
  const traces: string[] = [];
  for (const [, blob] of partsOf(manifest)) {
    const found = await stat(store.blobPath(blob.digest), { bigint: true }).catch(() => undefined);
    if (!found) return undefined;
    traces.push(`${blob.digest} ${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}\n`);
  }
  return traces.join('');
}
