import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createBootSet } from '../../../src/boot/boot-set.ts';
import { digestOf } from '../../../src/digest.ts';
import { AppError } from '../../../src/errors.ts';
import { openBootStore } from '../../../src/state/boots.ts';
import { openDatabase } from '../../../src/state/database.ts';
import { address, mac, start } from './fold.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { watchWaits } from './waiting-database.ts';

const blob = { digest: digestOf('blob'), size: 10 };
const set = createBootSet({
  ...{ node: 'web1', roles: ['web'], image: digestOf('image'), arguments: [] },
  ...{ kernel: blob, initramfs: blob, root: [blob], overlay: blob },
});

/** Boots on a disk whose syncs the test lets end; `waits` has what would have waited for it in the meantime. */
function onSlowDisk() {
  const database = openDatabase(join(temporaryFolder(), 'db'));
  onTestFinished(() => database.close());
  const { watched, waits } = watchWaits(database);
  const syncs: PromiseWithResolvers<void>[] = [];
  const sync = () => {
    const one = Promise.withResolvers<void>();
    syncs.push(one);
    return one.promise;
  };
  const boots = openBootStore({ ...watched, sync });
  const begin = (bootId: string) =>
    boots.record({
      ...{ bootId, machine: mac(1), node: 'web1', set, token: bootId },
      ...{ createdAt: start, address: address(21) },
    });
  return { boots, begin, waits, syncs };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('boots that begin together share one sync, which holds up nobody else', async () => {
  const { boots, begin, waits, syncs } = onSlowDisk();
  const begun: string[] = [];
  const both = ['a', 'b'].map((id) => begin(id).then(({ bootId }) => begun.push(bootId)));
  await turn();
  await turn();
  expect([syncs.length, begun, waits]).toEqual([1, [], []]);
  expect(boots.get('b')?.bootId).toBe('b');
  syncs[0]?.resolve();
  await Promise.all(both);
  expect(begun).toEqual(['a', 'b']);
});

test('a boot that the disk does not keep does not begin', async () => {
  const { begin, syncs } = onSlowDisk();
  const refused = expect(begin('a')).rejects.toThrow('full');
  await turn();
  await turn();
  syncs[0]?.reject(new AppError('disk-full', 'its disk is full'));
  await refused;
});
