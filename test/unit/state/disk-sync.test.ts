import { appendFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createDiskSync, type DiskSync } from '../../../src/state/disk-sync.ts';
import { temporaryFolder } from './temporary-folder.ts';

const opened: DiskSync[] = [];
afterEach(() => {
  for (const one of opened.splice(0)) one.close();
});

function syncOf(path: string): DiskSync {
  const one = createDiskSync(path);
  opened.push(one);
  return one;
}

describe('the sync of a file', () => {
  test('is shared by all who ask while one is under way, and is not the one under way', async () => {
    const path = join(temporaryFolder(), 'log');
    appendFileSync(path, 'one');
    const disk = syncOf(path);
    const first = disk.sync();
    appendFileSync(path, 'two');
    const [second, third] = [disk.sync(), disk.sync()];
    expect(second).toBe(third);
    expect(second).not.toBe(first);
    const order: string[] = [];
    await Promise.all([
      first.then(() => order.push('first')),
      second.then(() => order.push('second')),
    ]);
    expect(order).toEqual(['first', 'second']);
  });

  test('fails where the file is not there, and goes on once it is', async () => {
    const path = join(temporaryFolder(), 'log');
    const disk = syncOf(path);
    await expect(disk.sync()).rejects.toThrow('ENOENT');
    appendFileSync(path, 'one');
    await disk.sync();
  });

  test('lets go of the file while one is under way', async () => {
    const path = join(temporaryFolder(), 'log');
    appendFileSync(path, 'one');
    const disk = syncOf(path);
    const last = disk.sync();
    disk.close();
    await last;
  });

  test('ends those that were asked for before it lets go, though the file has no name any more', async () => {
    const path = join(temporaryFolder(), 'log');
    appendFileSync(path, 'one');
    const disk = syncOf(path);
    const both = [disk.sync(), disk.sync()];
    // As a database does that is closed.
    disk.close();
    rmSync(path);
    await Promise.all(both);
  });
});
