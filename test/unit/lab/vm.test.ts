import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { LabNetwork } from '../../../src/lab/network.ts';
import { startVm } from '../../../src/lab/vm.ts';
import { planGuests } from '../../../src/lab/vm-spec.ts';
import { node, siteOf } from './a-site.ts';

test('a machine whose QEMU ends at once is not started, and it says why', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rolecall-vm-'));
  const site = siteOf(node('web1', { boot: '52:54:00:77:00:11' }));
  const [spec] = planGuests(site, { spares: 0, memory: 256 });
  if (!spec) throw new Error('no guest');
  // This host's own network, which has no such tap.
  const network: LabNetwork = {
    ...{ pid: process.pid, relaySocket: '', stop: async () => {} },
    inside: (program, args) => [program, args],
  };
  const roms = { 'virtio-net-pci': join(folder, 'no-such.rom') };
  const started = startVm(spec, { network, taps: ['rc-none'], accelerator: 'tcg', roms, folder });
  await expect(started).rejects.toMatchObject({
    code: 'lab-qemu',
    message: expect.stringMatching(
      /^web1 does not start: .*failed to find romfile .*no-such\.rom/s,
    ),
    hint: `all that QEMU said is in ${join(folder, 'qemu.log')}`,
  });
  await rm(folder, { recursive: true });
});
