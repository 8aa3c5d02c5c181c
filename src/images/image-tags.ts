import { readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Digest } from '../digest.ts';
import { syncFolder, writeDurably } from '../system/durable-file.ts';
import { waitForFileLock } from '../system/file-lock.ts';
import { parseTag, renderTag, type TagHistory } from './tag-history.ts';
import { watchFolder } from './watch-folder.ts';

/** `built` is the newest build or import; `published` is what nodes boot. */
export type ImageTag = 'built' | 'published';

export const imageTags: readonly ImageTag[] = ['built', 'published'];

/** Which tag: each image name has its own, for each architecture. */
export interface TagPlace {
  readonly name: string;
  readonly architecture: string;
  readonly tag: ImageTag;
}

/** The tags of a store, one small file each. */
export interface ImageTags {
  /** Empty where the tag names nothing. */
  history(place: TagPlace): Promise<TagHistory>;
  /**
   * Writes what `change` makes of the history, durable when this resolves; one change at a time, whatever
   * process asks. Where `change` gives undefined nothing is written.
   */
  change(
    place: TagPlace,
    change: (history: TagHistory) => Promise<TagHistory | undefined>,
  ): Promise<TagHistory | undefined>;
  /** Runs `work` while no tag moves. */
  hold<T>(work: () => Promise<T>): Promise<T>;
  /** Every image that any tag names. */
  named(): Promise<ReadonlySet<Digest>>;
  /** Deletes what killed writers left. Only within `hold`: else it takes that of one who writes. */
  sweep(): Promise<void>;
  /** Calls when a tag has moved; gives back what ends that. */
  watch(listener: () => void): () => void;
}

/** Opens the tags of the store in `root`. */
export function openImageTags(root: string): ImageTags {
  const folder = join(root, 'tags');
  const pathOf = ({ name, architecture, tag }: TagPlace) => join(folder, name, architecture, tag);

  const history: ImageTags['history'] = async (place) =>
    parseTag((await textOf(pathOf(place))) ?? '');

  const hold: ImageTags['hold'] = async (work) => {
    const lock = await waitForFileLock(join(root, 'tags.lock'));
    try {
      return await work();
    } finally {
      await lock.release();
    }
  };

  async function eachFolder(look: (folder: string, names: string[]) => Promise<void>) {
    for (const name of await namesIn(folder)) {
      for (const architecture of await namesIn(join(folder, name))) {
        const inner = join(folder, name, architecture);
        await look(inner, await namesIn(inner));
      }
    }
  }

  return {
    history,
    hold,
    change: (place, change) =>
      hold(async () => {
        const before = await history(place);
        const after = await change(before);
        if (after === undefined) return undefined;
        const path = pathOf(place);
        await writeDurably(path, renderTag(after));
        // The folders of the name may be new themselves.
        for (const above of [dirname(dirname(path)), folder, root, dirname(root)]) {
          await syncFolder(above);
        }
        return after;
      }),
    named: async () => {
      const digests = new Set<Digest>();
      await eachFolder(async (inner, names) => {
        for (const name of names.filter((n) => (imageTags as readonly string[]).includes(n))) {
          const [first] = parseTag((await textOf(join(inner, name))) ?? '');
          if (first !== undefined) digests.add(first);
        }
      });
      return digests;
    },
    sweep: () =>
      eachFolder(async (inner, names) => {
        for (const name of names) {
          if (name.endsWith('.tmp')) await rm(join(inner, name), { force: true });
        }
      }),
    watch: (listener) => watchFolder(folder, listener),
  };
}

/** The names in a folder; none where it is not there. */
export async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

/** The text of a file; undefined where it is not there. */
export async function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
