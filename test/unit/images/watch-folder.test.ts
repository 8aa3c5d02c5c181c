import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { openImageStore } from '../../../src/images/image-store.ts';

let state = '';
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'watch-folder-'));
  await mkdir(join(state, 'images/tags'), { recursive: true });
});
afterEach(() => rm(state, { recursive: true, force: true }));

it('a store in which no folder can be made is watched all the same', async () => {
  // Root may write anywhere, so a file stands where the folder would be.
  const notes = join(state, 'images/notes');
  await writeFile(notes, '');
  const listener = vi.fn();
  const stop = openImageStore(state).watchTags(listener);
  try {
    await writeFile(join(state, 'images/tags/seen'), '');
    await vi.waitFor(() => expect(listener).toHaveBeenCalled());
    listener.mockClear();
    await rm(notes);
    await mkdir(notes);
    await writeFile(join(notes, 'seen'), '');
    // Found by the clock.
    await vi.waitFor(() => expect(listener).toHaveBeenCalled(), 12_000);
  } finally {
    stop();
  }
});
