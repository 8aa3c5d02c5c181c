import { AppError } from '../errors.ts';

/** One entry of an archive. Paths are relative and without a leading `./`; modes are permission bits. */
export type CpioRecord =
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly mode: number;
      readonly data: Uint8Array;
    }
  | { readonly kind: 'folder'; readonly path: string; readonly mode: number }
  | { readonly kind: 'link'; readonly path: string; readonly target: string };

const typeBits = { file: 0o100000, folder: 0o040000, link: 0o120000 } as const;

export function staticFile(path: string, data: Uint8Array | string, mode = 0o644): CpioRecord {
  return { kind: 'file', path, mode, data: typeof data === 'string' ? encode(data) : data };
}

export function folder(path: string, mode = 0o755): CpioRecord {
  return { kind: 'folder', path, mode };
}

export function symbolicLink(path: string, target: string): CpioRecord {
  return { kind: 'link', path, target };
}

/**
 * The records in the order of their paths' bytes, each folder that a path needs added with mode 0755.
 * A parent comes before what is in it, as the kernel's unpacker wants it.
 * Refuses a path that is absolute, leaves the archive, or occurs twice.
 */
export function arrangeRecords(records: readonly CpioRecord[]): readonly CpioRecord[] {
  const byPath = new Map<string, CpioRecord>();
  for (const record of records) {
    refuseOddPath(record.path);
    if (byPath.has(record.path)) {
      throw new AppError('cpio-duplicate', `the archive would hold ${record.path} twice`);
    }
    byPath.set(record.path, record);
  }
  for (const path of [...byPath.keys()]) {
    for (const parent of parentsOf(path)) {
      if (!byPath.has(parent)) byPath.set(parent, folder(parent));
    }
  }
  return [...byPath.values()].sort((a, b) => Buffer.compare(encode(a.path), encode(b.path)));
}

/**
 * A newc archive (cpio(5), kernel: Documentation/driver-api/early-userspace/buffer-format.rst)
 * of the records as they come: owner 0:0, time 0, inodes counted from 1.
 * Refuses a file of 4 GiB or more, which the format cannot say.
 */
export function packCpio(records: readonly CpioRecord[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [index, record] of records.entries()) {
    const data = dataOf(record);
    if (data.length > 0xffffffff) {
      throw new AppError('cpio-too-big', `${record.path} has 4 GiB or more`);
    }
    const mode = typeBits[record.kind] | (record.kind === 'link' ? 0o777 : record.mode & 0o7777);
    const links = record.kind === 'folder' ? 2 : 1;
    parts.push(header({ inode: index + 1, mode, links, size: data.length, path: record.path }));
    parts.push(data, padding(data.length));
  }
  parts.push(header({ inode: 0, mode: 0, links: 1, size: 0, path: 'TRAILER!!!' }));
  return Buffer.concat(parts);
}

interface HeaderFields {
  readonly inode: number;
  readonly mode: number;
  readonly links: number;
  readonly size: number;
  readonly path: string;
}

function header({ inode, mode, links, size, path }: HeaderFields): Uint8Array {
  const name = encode(`${path}\0`);
  // inode, mode, uid, gid, links, mtime, size, device (2), device node (2), name's length, checksum
  const numbers = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name.length, 0];
  const head = encode(`070701${numbers.map((n) => n.toString(16).padStart(8, '0')).join('')}`);
  return Buffer.concat([head, name, padding(head.length + name.length)]);
}

/** Header and data both end on a multiple of four bytes. */
function padding(length: number): Uint8Array {
  return new Uint8Array((4 - (length % 4)) % 4);
}

function dataOf(record: CpioRecord): Uint8Array {
  if (record.kind === 'file') return record.data;
  return record.kind === 'link' ? encode(record.target) : new Uint8Array();
}

function parentsOf(path: string): readonly string[] {
  const steps = path.split('/').slice(0, -1);
  return steps.map((_, index) => steps.slice(0, index + 1).join('/'));
}

function refuseOddPath(path: string): void {
  const steps = path.split('/');
  if (path.includes('\0') || steps.some((step) => step === '' || step === '.' || step === '..')) {
    throw new AppError('cpio-path', `${JSON.stringify(path)} is no path inside an archive`);
  }
}

function encode(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}
