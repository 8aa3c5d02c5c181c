import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { extract, type Header } from 'tar-stream';
import type { Digest } from '../digest.ts';
import { readOutput } from '../system/read-output.ts';

/** One name in a tree. Names of one inode (hard links) have all but the path in common. */
export interface TreeEntry {
  /** From the tree's top without a leading slash; the top itself is the empty text. */
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'symlink' | 'fifo' | 'character-device' | 'block-device';
  /** Permission bits, set-user-ID and the like included. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  /** Bytes of a file, 0 of anything else. */
  readonly size: number;
  /** SHA-256 of a file's bytes; empty for anything else. */
  readonly content: Digest | '';
  /** Of a symbolic link; empty for anything else. */
  readonly target: string;
  /** Of a device: major and minor number. */
  readonly device: readonly [number, number];
  /** Extended attributes (xattr(7)) by name, file capabilities among them. */
  readonly attributes: Readonly<Record<string, string>>;
  /** All paths of the inode, sorted; of most files their own alone. */
  readonly names: readonly string[];
}

/** Everything below a folder, sorted by path, read by tar(1). Sockets are left out. Needs root. */
export async function listTree(folder: string): Promise<readonly TreeEntry[]> {
  return readOutput(
    'tar',
    [
      ...['--create', '--directory', folder, '--format=posix', '--sort=name', '--numeric-owner'],
      // squashfs keeps no others.
      ...['user', 'trusted', 'security'].map((space) => `--xattrs-include=${space}.*`),
      ...['--pax-option=delete=atime,delete=ctime', '.'],
    ],
    readListing,
    { LC_ALL: 'C' },
  );
}

async function readListing(tar: Readable): Promise<readonly TreeEntry[]> {
  const entries = extract();
  tar.on('error', (error) => entries.destroy(error));
  tar.pipe(entries as unknown as NodeJS.WritableStream);
  const found = new Map<string, TreeEntry>();
  for await (const entry of entries) {
    const { header } = entry;
    const hash = createHash('sha256');
    for await (const chunk of entry as unknown as AsyncIterable<Uint8Array>) hash.update(chunk);
    const path = pathIn(header.name);
    const first = header.type === 'link' ? found.get(pathIn(header.linkname ?? '')) : undefined;
    if (!first) {
      const content = header.type === 'file' ? (hash.digest('hex') as Digest) : '';
      found.set(path, { ...factsOf(header), path, content, names: [path] });
      continue;
    }
    const names = [...first.names, path].sort();
    for (const name of names) found.set(name, { ...first, path: name, names });
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function factsOf(header: Header): Omit<TreeEntry, 'path' | 'content' | 'names'> {
  const { type, mode, uid, gid, mtime, size, linkname, devmajor, devminor } = header;
  const kind = type === 'contiguous-file' || type === 'link' ? 'file' : type;
  if (!isKind(kind)) throw new Error(`tar lists ${header.name} as ${String(type)}`);
  return {
    ...{ kind, mode: mode ?? 0, uid: uid ?? 0, gid: gid ?? 0 },
    mtime: (mtime?.getTime() ?? 0) / 1000,
    size: kind === 'file' ? (size ?? 0) : 0,
    target: kind === 'symlink' ? (linkname ?? '') : '',
    device: [devmajor ?? 0, devminor ?? 0],
    attributes: attributesOf(header),
  };
}

const prefix = 'SCHILY.xattr.';

function attributesOf({ pax }: Header): Record<string, string> {
  const all = Object.entries((pax ?? {}) as Record<string, string>);
  return Object.fromEntries(
    all
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), value]),
  );
}

function isKind(type: Header['type']): type is TreeEntry['kind'] {
  return (
    type === 'file' ||
    type === 'directory' ||
    type === 'symlink' ||
    type === 'fifo' ||
    type === 'character-device' ||
    type === 'block-device'
  );
}

function pathIn(name: string): string {
  return name.replace(/^\.\/?/, '').replace(/\/$/, '');
}
