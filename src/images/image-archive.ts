import type { KeyObject } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Extract, extract, type Header, pack } from 'tar-stream';
import { type Blob, type ImageManifest, readManifest } from '../boot/image-manifest.ts';
import { canonicalJson, type Digest, digestOf, parseDigest } from '../digest.ts';
import { AppError } from '../errors.ts';
import type { ImageKey } from '../site/image-key.ts';
import { isLabel } from '../site/read-values.ts';
import { syncFolder } from '../system/durable-file.ts';
import {
  type ImageSignature,
  isSigned,
  parseSignature,
  renderSignature,
  type SignedThing,
  signDigest,
} from './image-signature.ts';
import { type ImageStore, partsOf, type StoredImage } from './image-store.ts';
import { type ImageTests, mergeTests, parseImageTests } from './image-tests.ts';

/**
 * Names in the archive, in the order in which they stand there; the last two only where there are notes. Blobs
 * follow, `blobs/<digest>` each.
 */
const manifestName = 'manifest.json';
const signatureName = 'signature';
const notesName = 'notes.json';
const notesSignatureName = 'notes.signature';

/** Bytes; a manifest lists every package and unit, of which even a large image has thousands. */
const largestManifest = 16 * 1024 * 1024;
const largestNotes = 16 * 1024 * 1024;
const largestSignature = 1024;

/** What is known of an image besides the image; names the image, so that a signature is for no other. */
interface Notes {
  readonly image: Digest;
  readonly tests?: ImageTests | undefined;
  readonly sbom?: unknown;
  readonly provenance?: unknown;
}

/**
 * Writes the image and what is known of it into one file, a POSIX tar with signatures by `key`: the same bytes
 * for the same image, notes and key. The file is there whole or not at all. Refuses a damaged image (`damaged-image`).
 */
export async function exportImage(
  image: StoredImage,
  store: ImageStore,
  key: KeyObject,
  file: string,
): Promise<void> {
  const damage = await store.verify(image.digest);
  if (damage.length > 0) {
    throw new AppError(
      'damaged-image',
      `the image ${image.digest} is damaged: ${damage.map((d) => `${d.part} ${d.message}`).join(', ')}`,
      'rolecall build',
    );
  }
  const notes = await notesOn(image.digest, store);
  const aside = `${file}.tmp`;
  const archive = pack();
  const written = pipeline(archive, createWriteStream(aside));
  try {
    await Promise.race([
      written,
      (async () => {
        archive.entry(headerOf(manifestName), await store.text(image.digest));
        const signature = signDigest('image', image.digest, key);
        archive.entry(headerOf(signatureName), renderSignature(signature));
        if (notes !== undefined) {
          archive.entry(headerOf(notesName), notes);
          const signed = signDigest('notes', digestOf(notes), key);
          archive.entry(headerOf(notesSignatureName), renderSignature(signed));
        }
        for (const { digest, size } of blobsOf(image.manifest)) {
          const entry = archive.entry({ ...headerOf(`blobs/${digest}`), size });
          await pipeline(createReadStream(store.blobPath(digest)), entry);
        }
        archive.finalize();
        await written;
      })(),
    ]);
    const copy = await open(aside, 'r+');
    await copy.sync().finally(() => copy.close());
    await rename(aside, file);
    await syncFolder(dirname(file));
  } catch (error) {
    archive.destroy();
    await written.catch(() => undefined);
    await rm(aside, { force: true });
    throw error;
  }
}

/** All that is known of an image, as a text that names it; undefined where nothing is. */
async function notesOn(image: Digest, store: ImageStore): Promise<string | undefined> {
  const notes: Notes = {
    image,
    tests: parseImageTests(await store.note(image, 'tests')),
    sbom: await store.note(image, 'sbom'),
    provenance: await store.note(image, 'provenance'),
  };
  const known = [notes.tests, notes.sbom, notes.provenance].some((note) => note !== undefined);
  return known ? canonicalJson(notes) : undefined;
}

/** No time, no owner: the same image gives the same bytes. */
function headerOf(name: string) {
  return { name, mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) };
}

/** Each blob once, by digest. */
function blobsOf(manifest: ImageManifest): Blob[] {
  const blobs = new Map(partsOf(manifest).map(([, blob]) => [blob.digest, blob]));
  return [...blobs.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1));
}

/**
 * Takes in what {@link exportImage} wrote, if one of `trusted` signed it. No byte of an image is kept before
 * its signature was verified, nor is there an image before all its bytes were compared; what it refuses leaves
 * nothing in the store. Only under the build lock. Refuses with `untrusted-image` or `damaged-archive`.
 */
export async function importImage(
  file: string,
  store: ImageStore,
  trusted: readonly ImageKey[],
): Promise<StoredImage> {
  const source = createReadStream(file);
  const entries = extract();
  source.on('error', (error) => entries.destroy(error));
  source.pipe(entries as unknown as NodeJS.WritableStream);
  try {
    return await takeEntries(entries, file, store, trusted);
  } catch (error) {
    // Blobs that came before it; what is wrong with the file is worth more than what is with the store.
    await store.sweep().catch(() => undefined);
    throw explain(error, file);
  } finally {
    source.destroy();
    entries.destroy();
  }
}

async function takeEntries(
  entries: Extract,
  file: string,
  store: ImageStore,
  trusted: readonly ImageKey[],
): Promise<StoredImage> {
  let text: string | undefined;
  let manifest: ImageManifest | undefined;
  let notesText: string | undefined;
  let notes: Notes | undefined;
  const missing = new Map<string, Blob>();
  for await (const entry of entries) {
    const { name, size } = entry.header;
    const bytes = entry as unknown as AsyncIterable<Uint8Array>;
    if (text === undefined) {
      text = await readText(entry.header, bytes, manifestName, largestManifest, file);
    } else if (manifest === undefined) {
      const line = await readText(entry.header, bytes, signatureName, largestSignature, file);
      refuseUnlessTrusted('image', text, parseSignature(line), trusted, file);
      manifest = readSigned(text, file);
      for (const blob of blobsOf(manifest)) missing.set(`blobs/${blob.digest}`, blob);
    } else if (name === notesName && notesText === undefined) {
      notesText = await readText(entry.header, bytes, notesName, largestNotes, file);
    } else if (name === notesSignatureName && notesText !== undefined && !notes) {
      const line = await readText(entry.header, bytes, notesSignatureName, largestSignature, file);
      refuseUnlessTrusted('notes', notesText, parseSignature(line), trusted, file);
      notes = readNotes(notesText, digestOf(text), file);
    } else {
      const blob = missing.get(name);
      if (!blob)
        throw damaged(file, `holds ${JSON.stringify(name)}, which is no part of the image`);
      if (size !== blob.size) {
        throw damaged(file, `has ${name} of ${size} bytes instead of ${blob.size}`);
      }
      await store.addBytes(bytes, blob);
      missing.delete(name);
    }
  }
  if (!manifest) throw damaged(file, 'ends before the signature of the image');
  if (notesText !== undefined && !notes) throw damaged(file, 'has notes without a signature');
  if (missing.size > 0) throw damaged(file, `lacks ${missing.size} parts of the image`);
  const image = await store.addImage(manifest, text);
  if (notes) await takeNotes(image.digest, notes, store);
  return image;
}

async function takeNotes(image: Digest, notes: Notes, store: ImageStore): Promise<void> {
  const { tests } = notes;
  if (tests) {
    await store.changeNote(image, 'tests', (before) => mergeTests(parseImageTests(before), tests));
  }
  for (const kind of ['sbom', 'provenance'] as const) {
    if (notes[kind] !== undefined) await store.writeNote(image, kind, notes[kind]);
  }
}

/** What is known of this image. */
function readNotes(text: string, image: Digest, file: string): Notes {
  const notes = JSON.parse(text) as Partial<Notes>;
  const tests = parseImageTests(notes.tests);
  if (notes.image === image && (tests || notes.tests === undefined)) {
    return { ...notes, image, tests };
  }
  throw damaged(file, 'has notes that are none on this image');
}

async function readText(
  { name, size }: Header,
  bytes: AsyncIterable<Uint8Array>,
  wanted: string,
  largest: number,
  file: string,
): Promise<string> {
  if (name !== wanted || size > largest) {
    throw damaged(file, `has ${JSON.stringify(name)} of ${size} bytes where ${wanted} should be`);
  }
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts).toString();
}

function refuseUnlessTrusted(
  what: SignedThing,
  text: string,
  signature: ImageSignature | undefined,
  trusted: readonly ImageKey[],
  file: string,
): void {
  if (!signature) throw damaged(file, 'has no signature that can be read');
  if (!isSigned(what, digestOf(text), signature)) {
    throw untrusted(
      `the signature in ${file} is not one of ${what === 'image' ? 'this image' : 'these notes'}: the file was changed`,
      'export it again where it was built',
    );
  }
  if (trusted.includes(signature.key)) return;
  const whom = trusted.length === 0 ? 'no key' : `only ${trusted.join(', ')}`;
  throw untrusted(
    `${file} is signed by ${signature.key}, and site.yaml trusts ${whom}`,
    `if that key is yours, write in site.yaml:\nimages:\n  trust: [${[...trusted, signature.key].join(', ')}]`,
  );
}

/** What the signer vouches for, but names become paths, so they are looked at. */
function readSigned(text: string, file: string): ImageManifest {
  const manifest = readManifest(text);
  const names = [manifest.name, manifest.architecture];
  const blobs = partsOf(manifest).map(([, blob]) => blob);
  if (names.every(isLabel) && blobs.every(({ digest }) => parseDigest(digest) !== undefined)) {
    return manifest;
  }
  throw damaged(file, 'has a manifest that names no image');
}

function untrusted(message: string, hint: string): AppError {
  return new AppError('untrusted-image', message, hint);
}

function damaged(file: string, what: string): AppError {
  return new AppError(
    'damaged-archive',
    `${file} ${what}`,
    'nothing was taken in; copy the file once more, or export it again',
  );
}

/** What tar-stream says of bytes that are no tar is for programmers. */
function explain(error: unknown, file: string): unknown {
  if (!(error instanceof Error)) return error;
  if (error instanceof AppError) {
    return error.code === 'wrong-blob' ? damaged(file, `is damaged: ${error.message}`) : error;
  }
  if ((error as NodeJS.ErrnoException).syscall !== undefined) return error;
  if (error instanceof TypeError) return error;
  return damaged(
    file,
    `is no image that rolecall exported, or only a part of one (${error.message})`,
  );
}
