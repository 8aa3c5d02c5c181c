import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { watchTree } from '../../../src/system/watch-tree.ts';
import { temporaryFolder } from '../state/temporary-folder.ts';

function watched(dir: string) {
  const changed = vi.fn();
  onTestFinished(watchTree(dir, changed));
  return {
    /** Fails where the kernel reports nothing of this. */
    async seen(work: () => Promise<void>) {
      changed.mockClear();
      await work();
      await vi.waitFor(() => expect(changed).toHaveBeenCalled());
    },
  };
}

test('a folder that is made, moved or made again is watched where it is', async () => {
  const dir = temporaryFolder();
  const { seen } = watched(dir);
  const write = (path: string) => () => writeFile(join(dir, path), 'x');
  await seen(async () => void (await mkdir(join(dir, 'a/b'), { recursive: true })));
  await seen(write('a/b/file'));
  await seen(() => rename(join(dir, 'a'), join(dir, 'c')));
  await seen(write('c/b/file'));
  await seen(async () => {
    await rm(join(dir, 'c'), { recursive: true });
    await mkdir(join(dir, 'c/b'), { recursive: true });
  });
  await seen(write('c/b/again'));
});

test('what cannot be watched does not end the process', async () => {
  const dir = temporaryFolder();
  const { seen } = watched(dir);
  await seen(() => symlink('loop', join(dir, 'loop')));
  await seen(() => writeFile(join(dir, 'file'), 'x'));
  watchTree(join(dir, 'nothing'), () => {})();
});
