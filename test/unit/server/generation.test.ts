import { utimesSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseMac } from '../../../src/net/mac.ts';
import { spareNode } from '../../../src/roles/fleet.ts';
import { openOverlayStore } from '../../../src/state/overlays.ts';
import { temporaryFolder } from '../state/temporary-folder.ts';
import { generationOf, labFleet } from './a-generation.ts';

test('a spare whose overlay the disk refused gets it when the disk has room', async () => {
  const overlays = openOverlayStore(temporaryFolder());
  let full = false;
  const generation = await generationOf(await labFleet(), {
    ...overlays,
    async put(tar) {
      if (full) throw new Error('no space left on device');
      return overlays.put(tar);
    },
  });
  const mac = parseMac('52:54:00:77:00:99');
  if (!mac) throw new Error('no MAC');
  const spare = spareNode('spare-525400770099', mac);
  full = true;
  await expect(generation.bootSet(spare)).rejects.toThrow('no space');
  full = false;
  expect(await generation.bootSet(spare)).toMatchObject({ ok: true });
});

test('an old overlay that a generation in the making names again outlives a pruning', async () => {
  const overlays = openOverlayStore(temporaryFolder());
  const tar = Buffer.from('overlay of web1');
  const { digest } = await overlays.put(tar);
  const path = overlays.file(digest)?.path ?? '';
  const now = Date.now();
  utimesSync(path, 0, 0);
  await overlays.put(tar);
  overlays.prune(new Set(), now);
  expect(overlays.file(digest)?.size).toBe(tar.byteLength);
});
