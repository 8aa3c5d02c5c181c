import { AppError } from '../errors.ts';
import type { OverlayFile } from './overlay-file.ts';

const block = 512;

/**
 * The files of an overlay's tar, in their order: what {@link packOverlay} packed, and no more of POSIX
 * ustar than that. Refuses an archive that is cut short or holds anything but files and links.
 */
export function readOverlay(tar: Uint8Array): readonly OverlayFile[] {
  const bytes = Buffer.from(tar.buffer, tar.byteOffset, tar.byteLength);
  const files: OverlayFile[] = [];
  let at = 0;
  // Two blocks of zeros end an archive; an overlay without files has no more than those.
  while (at + block <= bytes.length && bytes[at] !== 0) {
    const header = bytes.subarray(at, at + block);
    const size = octal(header, 124, 12);
    const content = bytes.subarray(at + block, at + block + size);
    if (content.length !== size) throw damaged('it is cut short');
    files.push(entryOf(header, content));
    at += block + Math.ceil(size / block) * block;
  }
  return files;
}

function entryOf(header: Buffer, content: Buffer): OverlayFile {
  const name = text(header, 0, 100);
  const prefix = text(header, 345, 155);
  const path = `/${prefix === '' ? name : `${prefix}/${name}`}`.replace(/^\/+/, '/');
  const uid = octal(header, 108, 8);
  const gid = octal(header, 116, 8);
  const type = String.fromCharCode(header[156] ?? 0);
  switch (type) {
    case '0':
    case '\0':
      return { path, kind: 'file', mode: octal(header, 100, 8), uid, gid, content };
    case '2':
      return { path, kind: 'symlink', mode: 0o777, uid, gid, target: text(header, 157, 100) };
    default:
      throw damaged(`${path} is of type ${JSON.stringify(type)}`);
  }
}

function text(header: Buffer, from: number, length: number): string {
  const field = header.subarray(from, from + length);
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end === -1 ? length : end);
}

function octal(header: Buffer, from: number, length: number): number {
  const digits = text(header, from, length).trim();
  if (!/^[0-7]+$/.test(digits)) throw damaged(`${JSON.stringify(digits)} is no octal number`);
  return Number.parseInt(digits, 8);
}

function damaged(why: string): AppError {
  return new AppError('overlay-damaged', `the overlay cannot be read: ${why}`);
}
