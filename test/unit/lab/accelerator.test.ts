import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { acceleratorMemory, chooseAccelerator } from '../../../src/lab/accelerator.ts';

let folder = '';
let tries = 0;
const ask = (kernel = 'kernel') =>
  chooseAccelerator(join(folder, kernel), acceleratorMemory(join(folder, 'builds')), {
    device: join(folder, 'kvm'),
    tryKvm: async () => {
      tries += 1;
      return { accelerator: 'tcg', reason: `try ${tries}` };
    },
  });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'accelerator-'));
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(async () => {
  tries = 0;
  await rm(join(folder, 'builds'), { recursive: true, force: true });
  await writeFile(join(folder, 'kernel'), '');
  await writeFile(join(folder, 'kvm'), '');
});

it('a device that cannot be opened is not tried, and forgotten at once', async () => {
  await rm(join(folder, 'kvm'));
  expect(await ask()).toMatchObject({ accelerator: 'tcg' });
  expect(tries).toBe(0);
  await writeFile(join(folder, 'kvm'), '');
  expect(await ask()).toMatchObject({ reason: 'try 1' });
});

it('is tried once', async () => {
  await ask();
  expect(await ask()).toEqual({ accelerator: 'tcg', reason: 'try 1' });
});

it('is tried again for another kernel, and for a device that was made anew', async () => {
  await ask();
  await writeFile(join(folder, 'other'), '');
  expect(await ask('other')).toMatchObject({ reason: 'try 2' });
  await rm(join(folder, 'kvm'));
  await writeFile(join(folder, 'kvm'), '');
  expect(await ask('other')).toMatchObject({ reason: 'try 3' });
});
