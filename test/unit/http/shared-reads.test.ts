import { type FileHandle, open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSharedReads } from '../../../src/http/shared-reads.ts';
import { temporaryFolder } from '../state/temporary-folder.ts';

const kibibyte = 1024;
const bytes = Buffer.from(Array.from({ length: 300_000 }, (_v, i) => (i * 7 + (i >> 9)) & 255));
let path: string;
let handle: FileHandle;
let readCalls: number;

beforeEach(async () => {
  path = join(temporaryFolder(), 'blob');
  await writeFile(path, bytes);
  handle = await open(path);
  readCalls = 0;
});
afterEach(() => handle.close());

/** The file, counting how often it is read. */
function counted() {
  return {
    stat: handle.stat.bind(handle),
    read: ((...args: Parameters<typeof handle.read>) => {
      readCalls += 1;
      return handle.read(...args);
    }) as typeof handle.read,
  };
}

const small = { memory: 64 * kibibyte, longest: 16 * kibibyte, shortest: kibibyte };

describe('shared reads', () => {
  it('give every byte of the file, whoever reads it where', async () => {
    const reads = createSharedReads(small);
    const readers = await Promise.all([1, 2, 3, 4, 5].map(() => reads.reader(counted())));
    await Promise.all(
      readers.map(async (reader, n) => {
        for (let at = 1000 * n; at < bytes.length; ) {
          const piece = await reader.piece(at);
          const part = piece.bytes.subarray(at - piece.offset);
          expect(bytes.subarray(at, at + part.length).equals(part)).toBe(true);
          expect(part.length).toBeGreaterThan(0);
          at += part.length;
          piece.release();
        }
        reader.close();
      }),
    );
    expect(reads.held()).toBeLessThanOrEqual(small.memory);
  });

  it('of transfers near each other go to the disk once', async () => {
    const reads = createSharedReads({ ...small, memory: 1024 * kibibyte });
    const readers = await Promise.all([1, 2, 3].map(() => reads.reader(counted())));
    for (let at = 0; at < bytes.length; at += small.longest) {
      for (const reader of readers) (await reader.piece(at)).release();
    }
    // One for each piece, and one that finds the file's end.
    expect(readCalls).toBe(Math.ceil(bytes.length / small.longest) + 1);
  });

  it('end where the file does', async () => {
    const reader = await createSharedReads(small).reader(counted());
    const last = await reader.piece(bytes.length - 1);
    expect(last.offset + last.bytes.length).toBe(bytes.length);
    last.release();
    expect((await reader.piece(bytes.length + 50_000)).bytes).toHaveLength(0);
  });

  it('never change a piece that somebody still sends', async () => {
    const reads = createSharedReads(small);
    const [slow, fast] = [await reads.reader(counted()), await reads.reader(counted())];
    const kept = await slow.piece(0);
    const before = Buffer.from(kept.bytes);
    for (let at = 0; at < bytes.length; ) {
      const piece = await fast.piece(at);
      at = piece.offset + piece.bytes.length;
      piece.release();
    }
    expect(before.equals(kept.bytes)).toBe(true);
  });

  it('stay within their memory while 500 clients stall, wherever they do', async () => {
    await handle.close();
    handle = await open(path, 'r+');
    await handle.truncate(2 ** 30);
    const memory = 64 * 1024 * kibibyte;
    const reads = createSharedReads({ memory });
    const most = memory + 500 * 2 * 32 * kibibyte;
    for (let n = 0; n < 500; n += 1) {
      const reader = await reads.reader(handle);
      await reader.piece(n * 2_000_000);
      await reader.piece(n * 2_000_000 + 1_000_000);
      expect(reads.held()).toBeLessThanOrEqual(most);
    }
    // And one that does not stall gets on.
    const quick = await reads.reader(handle);
    for (let at = 0; at < 10_000_000; ) {
      const piece = await quick.piece(at);
      at = piece.offset + piece.bytes.length;
      piece.release();
    }
    expect(reads.held()).toBeLessThanOrEqual(most);
  });

  it('give their memory back when nobody reads any more', async () => {
    const reads = createSharedReads({ ...small, keepFor: 10 });
    const reader = await reads.reader(counted());
    (await reader.piece(0)).release();
    reader.close();
    expect(reads.held()).toBeGreaterThan(0);
    await expect.poll(() => reads.held()).toBe(0);
  });

  it('of a disk that failed are tried again', async () => {
    const reads = createSharedReads(small);
    let isBroken = true;
    const reader = await reads.reader({
      stat: handle.stat.bind(handle),
      read: ((...args: Parameters<typeof handle.read>) =>
        isBroken ? Promise.reject(new Error('EIO')) : handle.read(...args)) as typeof handle.read,
    });
    await expect(reader.piece(0)).rejects.toThrow('EIO');
    expect(reads.held()).toBe(0);
    isBroken = false;
    expect(bytes.subarray(0, 100).equals((await reader.piece(0)).bytes.subarray(0, 100))).toBe(
      true,
    );
  });

  it('do not mix a file with the one that takes its name', async () => {
    const reads = createSharedReads({ ...small, memory: 1024 * kibibyte });
    const before = await reads.reader(handle);
    (await before.piece(0)).release();
    await writeFile(`${path}.new`, Buffer.alloc(bytes.length, 9));
    await rename(`${path}.new`, path);
    const replaced = await open(path);
    const after = await reads.reader(replaced);
    expect((await after.piece(0)).bytes[5]).toBe(9);
    expect((await before.piece(0)).bytes[5]).toBe(bytes[5]);
    await replaced.close();
  });
});
