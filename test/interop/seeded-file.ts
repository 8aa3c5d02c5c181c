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

const opened = new Map<number, Uint8Array>();

/** What a server of these files opens; undefined for other names. */
export function openSeededFile(name: string): Uint8Array | undefined {
  const digits = /^files\/seeded-(\d{1,9})$/.exec(name)?.[1];
  if (digits === undefined) return undefined;
  const size = Number(digits);
  const bytes = opened.get(size) ?? seededBytes(size);
  opened.set(size, bytes);
  return bytes;
}
