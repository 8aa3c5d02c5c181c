import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import {
  constants,
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Blob, ImageManifest } from '../boot/image-manifest.ts';
import { canonicalJson, type Digest, digestOf, parseDigest } from '../digest.ts';
import { AppError } from '../errors.ts';
import { fingerprintFolder } from '../site/folder-fingerprint.ts';
import { syncFolder, writeDurably } from '../system/durable-file.ts';
import { watchTree } from '../system/watch-tree.ts';

/** `built` is the newest build; `published` is what nodes boot. */
export type ImageTag = 'built' | 'published';

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
  /** `kernel`, `initramfs`, `root`, `manifest` or a loader's name. */
  readonly part: string;
  readonly digest: Digest;
  readonly message: string;
}

/** Images by digest on this machine's disk; nothing in it ever changes but the tags. */
export interface ImageStore {
  /** The image that the tag names, or undefined where there is none. */
  resolve(name: string, architecture: string, tag?: ImageTag): Promise<StoredImage | undefined>;
  /** The image of that digest; refuses a manifest that holds other bytes (`damaged-manifest`). */
  read(digest: Digest): Promise<StoredImage | undefined>;
  /** Every image whose manifest is whole. */
  list(): Promise<ImageListing[]>;
  /** The digest of every image, damaged ones too, sorted. */
  digests(): Promise<Digest[]>;
  /** Absolute path where the blob is or would be. */
  blobPath(digest: Digest): string;
  hasBlob(blob: Blob): Promise<boolean>;
  /** Takes a file in: hashed while it is copied, durable when this resolves. */
  addBlob(file: string): Promise<Blob>;
  /** Takes an image in; all its blobs must be there. */
  addImage(manifest: ImageManifest): Promise<StoredImage>;
  /** Moves the tag of the image's name and architecture to it, at once or not at all. */
  tag(digest: Digest, tag: ImageTag): Promise<void>;
  /** Calls when a tag has moved; gives back what ends that. */
  watchTags(listener: () => void): () => void;
  /** Reads every blob of the image and compares size and digest. */
  verify(digest: Digest): Promise<StoreDamage[]>;
  /**
   * Deletes what killed builds left (half-written files, blobs of no image) and damaged manifests.
   * Only under the build lock.
   */
  sweep(): Promise<void>;
}

/** Milliseconds between looks at the tags where the kernel reports nothing. */
const pollInterval = 5000;

const tags: readonly ImageTag[] = ['built', 'published'];

/** The store in `<stateDir>/images`; an empty or absent folder is an empty store. */
export function openImageStore(stateDir: string): ImageStore {
  const root = join(stateDir, 'images');
  const blobPath = (digest: Digest) => join(root, 'blobs', digest);
  const manifestPath = (digest: Digest) => join(root, 'manifests', `${digest}.json`);
  const tagPath = (name: string, architecture: string, tag: ImageTag) =>
    join(root, 'tags', name, architecture, tag);
  const asideFolder = join(root, 'incoming');

  const read: ImageStore['read'] = async (digest) => {
    const text = await textOf(manifestPath(digest));
    if (text === undefined) return undefined;
    if (digestOf(text) !== digest) throw damagedManifest(digest);
    return { digest, manifest: JSON.parse(text) as ImageManifest };
  };

  const resolve: ImageStore['resolve'] = async (name, architecture, tag = 'published') => {
    const digest = parseDigest((await textOf(tagPath(name, architecture, tag)))?.trim() ?? '');
    return digest === undefined ? undefined : read(digest);
  };

  const hasBlob: ImageStore['hasBlob'] = async ({ digest, size }) =>
    (await stat(blobPath(digest)).catch(() => undefined))?.size === size;

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

  return {
    resolve,
    read,
    blobPath,
    hasBlob,
    digests,
    list: async () => {
      const images: ImageListing[] = [];
      for (const digest of await digests()) {
        const image = await readWhole(digest);
        if (!image) continue;
        const { name, architecture } = image.manifest;
        const held: ImageTag[] = [];
        for (const tag of tags) {
          const text = await textOf(tagPath(name, architecture, tag));
          if (text?.trim() === digest) held.push(tag);
        }
        images.push({ ...image, tags: held });
      }
      return images;
    },
    watchTags(listener) {
      const folder = join(root, 'tags');
      mkdirSync(folder, { recursive: true });
      const unwatch = watchTree(folder, listener);
      let known = fingerprintFolder(folder);
      const look = async () => {
        const [before, now] = await Promise.all([known, fingerprintFolder(folder)]);
        known = Promise.resolve(now);
        if (now !== before) listener();
      };
      const timer = setInterval(() => void look(), pollInterval).unref();
      return () => {
        clearInterval(timer);
        unwatch();
      };
    },
    addBlob: async (file) => {
      await mkdir(asideFolder, { recursive: true });
      await mkdir(join(root, 'blobs'), { recursive: true });
      const aside = join(asideFolder, randomBytes(8).toString('hex'));
      await copyFile(file, aside, constants.COPYFILE_FICLONE);
      const blob = await readBlob(aside);
      const copy = await open(aside, 'r+');
      try {
        await copy.chmod(0o644);
        await copy.sync();
      } finally {
        await copy.close();
      }
      await rename(aside, blobPath(blob.digest));
      await syncFolder(join(root, 'blobs'));
      return blob;
    },
    addImage: async (manifest) => {
      for (const [part, blob] of partsOf(manifest)) {
        if (await hasBlob(blob)) continue;
        throw new AppError(
          'blob-missing',
          `the image's ${part} ${blob.digest} is not in the store`,
          'rolecall build',
        );
      }
      const text = canonicalJson(manifest);
      const digest = digestOf(text);
      await writeDurably(manifestPath(digest), text);
      return { digest, manifest };
    },
    tag: async (digest, tag) => {
      const image = await read(digest);
      if (!image) throw noSuchImage(digest);
      const { name, architecture } = image.manifest;
      const path = tagPath(name, architecture, tag);
      await writeDurably(path, `${digest}\n`);
      // The folders of the name may be new themselves.
      for (const folder of [dirname(dirname(path)), join(root, 'tags'), root, stateDir]) {
        await syncFolder(folder);
      }
    },
    verify: async (digest) => {
      const image = await readWhole(digest);
      if (!image) {
        if (!(await digests()).includes(digest)) throw noSuchImage(digest);
        return [{ image: digest, part: 'manifest', digest, message: 'holds other bytes' }];
      }
      const damage: StoreDamage[] = [];
      for (const [part, blob] of partsOf(image.manifest)) {
        const found = await readBlob(blobPath(blob.digest)).catch(() => undefined);
        const message = !found
          ? 'is missing'
          : found.size !== blob.size
            ? `has ${found.size} bytes instead of ${blob.size}`
            : found.digest !== blob.digest
              ? `holds other bytes: their digest is ${found.digest}`
              : '';
        if (message) damage.push({ image: digest, part, digest: blob.digest, message });
      }
      return damage;
    },
    sweep: async () => {
      await rm(asideFolder, { recursive: true, force: true });
      const folders = [join(root, 'manifests')];
      for (const name of await namesIn(join(root, 'tags'))) {
        for (const architecture of await namesIn(join(root, 'tags', name))) {
          folders.push(join(root, 'tags', name, architecture));
        }
      }
      for (const folder of folders) {
        for (const name of await namesIn(folder)) {
          if (name.endsWith('.tmp')) await rm(join(folder, name), { force: true });
        }
      }
      const named = new Set<string>();
      for (const digest of await digests()) {
        const image = await readWhole(digest);
        // Nothing can be read from it any more, and the build makes it anew.
        if (!image) await rm(manifestPath(digest), { force: true });
        for (const [, blob] of image ? partsOf(image.manifest) : []) named.add(blob.digest);
      }
      for (const name of await namesIn(join(root, 'blobs'))) {
        if (!named.has(name)) await rm(join(root, 'blobs', name), { force: true });
      }
    },
  };
}

/** The image's blobs by the name of their part. */
export function partsOf(manifest: ImageManifest): [string, Blob][] {
  const { kernel, initramfs, root, loaders } = manifest;
  return [['kernel', kernel], ['initramfs', initramfs], ['root', root], ...Object.entries(loaders)];
}

async function readBlob(path: string): Promise<Blob> {
  const hash = createHash('sha256');
  let size = 0;
  const file = await open(path, 'r');
  for await (const chunk of file.createReadStream({ highWaterMark: 1 << 20 })) {
    hash.update(chunk as Uint8Array);
    size += (chunk as Uint8Array).length;
  }
  const digest = parseDigest(hash.digest('hex'));
  if (digest === undefined) throw new Error('SHA-256 gave no digest');
  return { digest, size };
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

async function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
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
