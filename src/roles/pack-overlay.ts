import { TarArchive } from 'archiver';
import { type Digest, digestOf } from '../digest.ts';
import { AppError } from '../errors.ts';
import type { OverlayFile } from './overlay-file.ts';

/** A tar and its name. */
export interface PackedOverlay {
  readonly bytes: Buffer;
  readonly digest: Digest;
}

/**
 * The files as a POSIX ustar archive, the same bytes for the same files in any order:
 * sorted by path, numeric owners without names, every date the epoch, no entries for folders.
 * Refuses a path or target that ustar cannot hold, as BusyBox tar passes over pax headers.
 */
export async function packOverlay(files: readonly OverlayFile[]): Promise<PackedOverlay> {
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  sorted.forEach((file, i) => {
    if (sorted[i - 1]?.path === file.path) {
      throw new AppError('overlay-path-twice', `an overlay holds ${file.path} twice`);
    }
    refuseWhatUstarCannotHold(file);
  });
  const archive = new TarArchive();
  const chunks: Buffer[] = [];
  const done = new Promise<void>((resolve, reject) => {
    archive.on('data', (chunk: Buffer) => chunks.push(chunk));
    archive.on('end', resolve);
    archive.on('error', reject);
    archive.on('warning', reject);
  });
  for (const file of sorted) archive.append(contentOf(file), entryOf(file));
  await Promise.all([archive.finalize(), done]);
  const bytes = Buffer.concat(chunks);
  return { bytes, digest: digestOf(bytes) };
}

function contentOf(file: OverlayFile): Buffer {
  return file.kind === 'file' ? Buffer.from(file.content) : Buffer.alloc(0);
}

function entryOf(file: OverlayFile) {
  return {
    // archiver takes the slash away; without it, it would take `c:` away from c:x.
    name: file.path,
    mode: file.mode,
    uid: file.uid,
    gid: file.gid,
    date: new Date(0),
    // archiver's own symlink() stamps the current time; an entry of this type takes the date above.
    ...(file.kind === 'symlink' ? { type: 'symlink' as const, linkname: file.target } : {}),
  };
}

function refuseWhatUstarCannotHold(file: OverlayFile): void {
  const name = file.path.slice(1);
  const parts = name.split('/');
  const bad =
    !file.path.startsWith('/') || parts.some((p) => p === '' || p === '.' || p === '..')
      ? 'is not an absolute path without . and ..'
      : name.includes('\\')
        ? // archiver takes a backslash for a slash, wherever it runs.
          'has a backslash'
        : !isAscii(name) || (file.kind === 'symlink' && !isAscii(file.target))
          ? 'has characters outside ASCII'
          : !fitsUstarName(parts) || (file.kind === 'symlink' && file.target.length > 100)
            ? 'is longer than ustar can hold (155 + 100 bytes, 100 for the target of a link)'
            : '';
  if (bad) {
    throw new AppError(
      'overlay-path',
      `the overlay path ${JSON.stringify(file.path)} ${bad}`,
      'give the file another name',
    );
  }
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

/** ustar keeps at most 100 bytes of the name, and 155 of the folders before it. */
function fitsUstarName(parts: readonly string[]): boolean {
  let name = parts.join('/');
  let prefix = '';
  for (const part of parts) {
    if (name.length <= 100) break;
    if (part === name) return false;
    prefix += prefix ? `/${part}` : part;
    name = name.slice(part.length + 1);
  }
  return name.length <= 100 && prefix.length <= 155;
}
