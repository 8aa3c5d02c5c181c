import type { TftpContent } from '../../src/pxe/tftp-sender.ts';
import { seededRandom } from '../seeded-random.ts';

/** `files/seeded-<bytes>`: the name of a file with the same bytes on every machine. */
export function seededName(size: number): string {
  return `files/seeded-${size}`;
}

/** The bytes of the file of that size. */
export function seededBytes(size: number): Buffer {
  const random = seededRandom(size);
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at++) bytes[at] = random() * 256;
  return bytes;
}

/** What a server of these files opens; undefined for other names. */
export function openSeededFile(name: string): TftpContent | undefined {
  const size = /^files\/seeded-(\d{1,9})$/.exec(name)?.[1];
  if (size === undefined) return undefined;
  const bytes = seededBytes(Number(size));
  return {
    size: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
}
