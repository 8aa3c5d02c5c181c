import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDigest } from '../digest.ts';
import { writeDurably } from '../system/durable-file.ts';
import type { Step } from './build-step.ts';
import { type ImageStore, partsOf, type StoredImage } from './image-store.ts';
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
  const text = await readFile(join(outputOf(cache, last), 'image'), 'utf8').catch(() => '');
  const digest = parseDigest(text);
  if (digest === undefined || !(await store.digests()).includes(digest)) return undefined;
  const image = await store.read(digest).catch(() => undefined);
  // A damaged manifest is found here, and made anew.
  if (!image) return undefined;
  const seenFile = join(outputOf(cache, last), 'seen');
  const seen = await traceOf(store, image);
  if (seen && seen === (await readFile(seenFile, 'utf8').catch(() => ''))) return image;
  if ((await store.verify(digest)).length > 0) return undefined;
  if (seen) await writeDurably(seenFile, seen);
  return image;
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
