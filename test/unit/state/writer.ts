import { createBootSet } from '../../../src/boot/boot-set.ts';
import { digestOf } from '../../../src/digest.ts';
import { openState } from '../../../src/state/state.ts';
import { address, mac } from './fold.ts';

/**
 * A server in the middle of its work: writes boots, leases, overlays and spent tokens one after the other,
 * and says each on standard output once it was told that it is on disk. Runs until it is killed.
 */
const [folder = ''] = process.argv.slice(2);
const state = openState(folder);
process.stdout.write('open\n');
for (let n = 1; ; n += 1) {
  const overlay = await state.overlays.put(Buffer.from(`overlay ${n}`));
  await state.boots.record({
    bootId: String(n),
    machine: mac(n % 200),
    node: `web${n % 200}`,
    set: createBootSet({
      node: `web${n % 200}`,
      roles: ['web'],
      image: digestOf('image'),
      kernel: overlay,
      initramfs: overlay,
      root: [overlay],
      overlay,
      arguments: [],
    }),
    token: `token ${n}`,
    createdAt: n,
    address: address(n % 200),
  });
  process.stdout.write(`boot ${n}\n`);
  state.leases.put({ mac: mac(n % 200), address: address(n % 200), expires: n, boundAt: n });
  process.stdout.write(`lease ${n}\n`);
  state.boots.useToken(String(n), `token ${n}`, n);
  process.stdout.write(`token ${n}\n`);
}
