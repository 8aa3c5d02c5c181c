import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Blob, type ImageManifest, readManifest } from '../boot/image-manifest.ts';
import { canonicalJson, type Digest, digestOf, parseDigest } from '../digest.ts';
import { AppError } from '../errors.ts';
import { syncFolder, writeDurably } from '../system/durable-file.ts';
import { openBlobStore } from './blob-store.ts';
import { type ImageTag, imageTags, namesIn, openImageTags, textOf } from './image-tags.ts';
import { useFolder } from './image-use.ts';
import { moveTag, type TagHistory, takeTagBack } from './tag-history.ts';
import { watchFolder } from './watch-folder.ts';

export interface StoredImage {
  /** Digest of the manifest: the image's own. */
  readonly digest: Digest;
  readonly manifest: ImageManifest;
}

export interface ImageListing extends StoredImage {
  readonly tags: readonly ImageTag[];
}

/** What is wrong with one blob or manifest of the store. */
export interface StoreDamage {
  readonly image: Digest;
  /** `kernel`, `initramfs`, `root`, `root layer 2`, `manifest` or a loader's name. */
  readonly part: string;
  readonly digest: Digest;
  readonly message: string;
}

/**
 * `tests` is what `image test` found, `sbom` a bill of materials, `provenance` what decided the bytes. No note is
 * part of an image, nor of its digest.
 */
export type NoteKind = 'tests' | 'sbom' | 'provenance';

/** Images by digest on this machine's disk; nothing in it ever changes but the tags and the notes. */
export interface ImageStore {
  /** The image that the tag names, or undefined where there is none. */
  resolve(name: string, architecture: string, tag?: ImageTag): Promise<StoredImage | undefined>;
  /** The image of that digest; refuses a manifest that holds other bytes (`damaged-manifest`). */
  read(digest: Digest): Promise<StoredImage | undefined>;
  /** The images that nodes were given: the published one first, then those before, newest first. */
  published(name: string, architecture: string): Promise<TagHistory>;
  /** Every image whose manifest is whole. */
  list(): Promise<ImageListing[]>;
  /** The digest of every image, damaged ones too, sorted. */
  digests(): Promise<Digest[]>;
  /** Absolute path where the blob is or would be. */
  blobPath(digest: Digest): string;
  hasBlob(blob: Blob): Promise<boolean>;
  /** Takes a file in: hashed while it is copied, durable when this resolves. */
  addBlob(file: string): Promise<Blob>;
  /**
   * Takes in bytes that must be those of `blob`, durable when this resolves; refuses others and keeps nothing
   * of them (`wrong-blob`).
   */
  addBytes(bytes: AsyncIterable<Uint8Array>, blob: Blob): Promise<void>;
  /** The manifest as it is stored: the image's digest is that of this text. */
  text(digest: Digest): Promise<string>;
  /** Takes an image in; all its blobs must be there. `text` is its manifest as it came from elsewhere. */
  addImage(manifest: ImageManifest, text?: string): Promise<StoredImage>;
  /** What is known of an image besides the image; undefined where nothing is. */
  note(digest: Digest, kind: NoteKind): Promise<unknown>;
  /** Writes that down, durable when this resolves; another of the same kind is gone. */
  writeNote(digest: Digest, kind: NoteKind, note: unknown): Promise<void>;
  /** Writes what `change` makes of the note that is there; one change at a time, whatever process asks. */
  changeNote(digest: Digest, kind: NoteKind, change: (before: unknown) => unknown): Promise<void>;
  /** Moves the tag of the image's name and architecture to it, at once or not at all. */
  tag(digest: Digest, tag: ImageTag): Promise<void>;
  /**
   * Takes the tag `published` back to an image that it named before, and forgets those since; refuses one that
   * it did not name (`not-published-before`).
   */
  rollback(digest: Digest): Promise<void>;
  /** Calls when a tag has moved or a note was written; gives back what ends that. */
  watchTags(listener: () => void): () => void;
  /** Reads every blob of the image and compares size and digest. */
  verify(digest: Digest): Promise<StoreDamage[]>;
  /**
   * Deletes what killed builds left (half-written files, blobs of no image) and damaged manifests that no
   * tag names; gives back how many bytes of blobs. While a tag names a damaged manifest no blob is deleted:
   * they may be that image's. Only under the build lock; no tag or note is written meanwhile.
   */
  sweep(): Promise<number>;
  /**
   * Deletes these images and what no other image needs; gives back how many bytes of blobs. Refuses one that
   * a tag names, and then deletes none (`image-tagged`). Only under the build lock.
   */
  remove(images: readonly Digest[]): Promise<number>;
}

/** The store in `<stateDir>/images`; an empty or absent folder is an empty store. */
export function openImageStore(stateDir: string): ImageStore {
  const root = join(stateDir, 'images');
  const blobs = openBlobStore(root);
  const manifestPath = (digest: Digest) => join(root, 'manifests', `${digest}.json`);
  const notesFolder = join(root, 'notes');
  const notePath = (digest: Digest, kind: NoteKind) => join(notesFolder, `${digest}.${kind}.json`);
  const tags = openImageTags(root);

  const read: ImageStore['read'] = async (digest) => {
    const text = await textOf(manifestPath(digest));
    if (text === undefined) return undefined;
    if (digestOf(text) !== digest) throw damagedManifest(digest);
    return { digest, manifest: readManifest(text) };
  };

  const resolve: ImageStore['resolve'] = async (name, architecture, tag = 'published') => {
    const [digest] = await tags.history({ name, architecture, tag });
    return digest === undefined ? undefined : read(digest);
  };

  /** Moves a tag of an image that is still there when its turn comes: `remove` may have been before it. */
  const change = async (
    digest: Digest,
    tag: ImageTag,
    move: (history: TagHistory) => TagHistory | undefined,
  ) => {
    const image = await read(digest);
    if (!image) throw noSuchImage(digest);
    const { name, architecture } = image.manifest;
    return tags.change({ name, architecture, tag }, async (history) => {
      if (!(await read(digest))) throw noSuchImage(digest);
      return move(history);
    });
  };

  const digests: ImageStore['digests'] = async () =>
    (await namesIn(join(root, 'manifests')))
      .map((name) => parseDigest(name.replace(/\.json$/, '')))
      .filter((digest) => digest !== undefined)
      .sort();

  /** Like read, but a damaged manifest is none. */
  const readWhole = (digest: Digest) =>
    read(digest).catch((error: unknown) => {
      if (error instanceof AppError && error.code === 'damaged-manifest') return undefined;
      throw error;
    });

  /** While no tag moves and no note is written. */
  async function sweepHeld(): Promise<number> {
    await blobs.forgetHalfWritten();
    for (const name of await namesIn(join(root, 'manifests'))) {
      if (name.endsWith('.tmp')) await rm(join(root, 'manifests', name), { force: true });
    }
    await tags.sweep();
    const tagged = await tags.named();
    const needed = new Set<string>();
    for (const digest of await digests()) {
      const image = await readWhole(digest);
      if (!image && tagged.has(digest)) return 0;
      // Nothing can be read from it any more, and nobody boots it.
      if (!image) await rm(manifestPath(digest), { force: true });
      for (const [, blob] of image ? partsOf(image.manifest) : []) needed.add(blob.digest);
    }
    const present = new Set<string>(await digests());
    for (const name of await namesIn(notesFolder)) {
      const whose = name.slice(0, name.indexOf('.'));
      if (name.endsWith('.tmp') || !present.has(whose)) {
        await rm(join(notesFolder, name), { force: true });
      }
    }
    for (const name of await namesIn(join(root, useFolder))) {
      if (!present.has(name)) await rm(join(root, useFolder, name), { force: true });
    }
    return blobs.sweep(needed);
  }

  const note: ImageStore['note'] = async (digest, kind) => {
    const text = await textOf(notePath(digest, kind));
    return text === undefined ? undefined : parseJson(text);
  };

  const changeNote: ImageStore['changeNote'] = (digest, kind, change) =>
    tags.hold(async () => {
      if (!(await digests()).includes(digest)) throw noSuchImage(digest);
      const after = change(await note(digest, kind));
      await writeDurably(notePath(digest, kind), canonicalJson(after));
    });

  return {
    resolve,
    read,
    blobPath: blobs.path,
    hasBlob: blobs.has,
    addBlob: blobs.add,
    addBytes: blobs.addBytes,
    digests,
    sweep: () => tags.hold(sweepHeld),
    published: (name, architecture) => tags.history({ name, architecture, tag: 'published' }),
    watchTags: (listener) => {
      const stops = [tags.watch(listener), watchFolder(notesFolder, listener)];
      return () => {
        for (const stop of stops) stop();
      };
    },
    list: async () => {
      const images: ImageListing[] = [];
      for (const digest of await digests()) {
        const image = await readWhole(digest);
        if (!image) continue;
        const { name, architecture } = image.manifest;
        const held: ImageTag[] = [];
        for (const tag of imageTags) {
          if ((await tags.history({ name, architecture, tag }))[0] === digest) held.push(tag);
        }
        images.push({ ...image, tags: held });
      }
      return images;
    },
    note,
    changeNote,
    writeNote: (digest, kind, after) => changeNote(digest, kind, () => after),
    text: async (digest) => {
      const text = await textOf(manifestPath(digest));
      if (text === undefined) throw noSuchImage(digest);
      return text;
    },
    addImage: async (manifest, text = canonicalJson(manifest)) => {
      for (const [part, blob] of partsOf(manifest)) {
        if (await blobs.has(blob)) continue;
        throw new AppError(
          'blob-missing',
          `the image's ${part} ${blob.digest} is not in the store`,
          'rolecall build',
        );
      }
      const digest = digestOf(text);
      await writeDurably(manifestPath(digest), text);
      return { digest, manifest };
    },
    tag: async (digest, tag) => {
      await change(digest, tag, (history) => moveTag(history, digest));
    },
    rollback: async (digest) => {
      if (await change(digest, 'published', (history) => takeTagBack(history, digest))) return;
      throw new AppError(
        'not-published-before',
        `the image ${digest} is not one that was published before the one that is`,
        'rolecall image ls; rolecall image publish takes any',
      );
    },
    remove: (images) =>
      tags.hold(async () => {
        const named = await tags.named();
        for (const digest of images) {
          if (!named.has(digest)) continue;
          throw new AppError(
            'image-tagged',
            `a tag names the image ${digest} by now`,
            'rolecall image gc',
          );
        }
        // First the manifests: killed between, this leaves blobs of no image, which the next sweep deletes.
        for (const digest of images) await rm(manifestPath(digest), { force: true });
        if (images.length > 0) await syncFolder(join(root, 'manifests'));
        return sweepHeld();
      }),
    verify: async (digest) => {
      const image = await readWhole(digest);
      if (!image) {
        if (!(await digests()).includes(digest)) throw noSuchImage(digest);
        return [{ image: digest, part: 'manifest', digest, message: 'holds other bytes' }];
      }
      const damage: StoreDamage[] = [];
      for (const [part, blob] of partsOf(image.manifest)) {
        const message = await blobs.damageOf(blob);
        if (message) damage.push({ image: digest, part, digest: blob.digest, message });
      }
      return damage;
    },
  };
}

/** The image's blobs by the name of their part. */
export function partsOf(manifest: ImageManifest): [string, Blob][] {
  const { kernel, initramfs, root, loaders } = manifest;
  return [
    ['kernel', kernel],
    ['initramfs', initramfs],
    ...root.map((layer, n): [string, Blob] => [n === 0 ? 'root' : `root layer ${n + 1}`, layer]),
    ...Object.entries(loaders),
  ];
}

/** undefined where a failing disk left something else. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function noSuchImage(digest: Digest): AppError {
  return new AppError('no-such-image', `no image ${digest} in the store`, 'rolecall image ls');
}

function damagedManifest(digest: Digest): AppError {
  return new AppError(
    'damaged-manifest',
    `the manifest of the image ${digest} holds other bytes than its name says`,
    'rolecall build stores it anew; look for a failing disk',
  );
}
