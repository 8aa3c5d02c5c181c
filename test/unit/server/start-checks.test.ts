import { expect, test } from 'vitest';
import type { BootSet } from '../../../src/boot/boot-set.ts';
import { openImageStore } from '../../../src/images/image-store.ts';
import type { PreparedSet } from '../../../src/server/generation.ts';
import { checkImages } from '../../../src/server/start-checks.ts';
import { temporaryFolder } from '../state/temporary-folder.ts';
import { labFleet } from './a-generation.ts';

const made: PreparedSet = { ok: true, set: {} as BootSet };
const refused: PreparedSet = { ok: false, reason: 'the image lacks the package nginx-light' };

async function problemsOf(sets: Readonly<Record<string, PreparedSet>>): Promise<readonly string[]> {
  const fleet = await labFleet();
  const generation = { fleet, sets: new Map(Object.entries(sets)), loaders: {} };
  // No image is published: that is said in any case, after what is wrong with the nodes.
  const problems = await checkImages(generation, openImageStore(temporaryFolder()));
  return problems.map((problem) => problem.message);
}

test('one node without a boot set does not keep the others from theirs', async () => {
  expect(await problemsOf({ web1: made, web2: refused })).toEqual([
    'there is no published image universal',
  ]);
});

test('where no node has a boot set, each says why', async () => {
  expect(await problemsOf({ web1: refused })).toEqual([
    'node web1 gets no boot set: the image lacks the package nginx-light',
    'there is no published image universal',
  ]);
});
