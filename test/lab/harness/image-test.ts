import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { openImageStore } from '../../../src/images/image-store.ts';
import { labFolder, prepareLabStateOf } from '../../../src/lab/lab-folder.ts';
import { ensureImage } from '../../../src/lab/lab-image.ts';
import { type ProgramResult, runProgram } from '../../../src/system/run-program.ts';
import { images } from './lab-under-test.ts';
import { processesAbout, until } from './processes.ts';

const top = resolve(import.meta.dirname, '../../..');

/**
 * Before the tests of a file: a copy of a site, which `edit` changes, and a state folder with the lab's image, of
 * which nothing is known yet. Both go after them, when no process of the lab is left. `rolecall` runs there, to
 * whatever end.
 */
export function imageTest(source: string, edit: (copy: { readonly site: string }) => void) {
  const root = mkdtempSync(join(tmpdir(), 'rc-image-test-'));
  const site = join(root, 'site');
  beforeAll(async () => {
    cpSync(source, site, { recursive: true });
    edit({ site });
    const { image } = await ensureImage(images, site, () => {});
    const found = (await openImageStore(images).digests()).find((digest) => digest === image);
    if (!found) throw new Error('the image of the lab is not in the store');
    await prepareLabStateOf(labFolder(root), images, [found]);
  });
  afterAll(async () => {
    await until('nothing of the lab is left', 30, () => processesAbout(root).length === 0);
    rmSync(root, { recursive: true });
  });
  const rolecall = (...args: readonly string[]): Promise<ProgramResult> =>
    runProgram(
      join(top, 'bin/rolecall'),
      ['--site', site, '--state', join(root, 'state'), ...args],
      { accept: [1, 2] },
    );
  return { root, site, rolecall };
}
