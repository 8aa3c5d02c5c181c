import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadFleet } from '../../../src/roles/load-fleet.ts';
import type { Generation } from '../../../src/server/generation.ts';
import { createVolumeService } from '../../../src/server/volume-service.ts';
import type { BootRecord } from '../../../src/state/boots.ts';
import { afterRestart, freeLease, type Lease, leaseTime } from '../../../src/volumes/lease.ts';
import type { VolumeReport } from '../../../src/volumes/volume-report.ts';
import { alone, aReport } from '../volumes/a-report.ts';

const fleet = await loadFleet(join(import.meta.dirname, '../../lab/sites/storage'));
if (!fleet.ok) throw new Error(JSON.stringify(fleet.problems));
const generation = { fleet: fleet.value } as Generation;

/** A server that has just started after another one, with what that one left on disk. */
function restarted(left: Lease) {
  let time = 0;
  let lease = afterRestart(left, time);
  const service = createVolumeService({
    generation: () => generation,
    clock: () => time,
    now: () => 0,
    journal: { add: () => {} },
    state: {
      boots: { get: (bootId: string) => ({ bootId, node: bootId }) as BootRecord } as never,
      volumeLeases: {
        of: () => lease,
        put: (_, after) => {
          lease = after;
        },
      },
    },
  });
  return (node: string, report: VolumeReport, at: number) => {
    time = at;
    return service.report(node, 'www', report);
  };
}

const left: Lease = { ...freeLease, holder: { node: 'nfs1', bootId: 'nfs1' } };
const after = leaseTime + 10;

it('a leader that fell while the server was away is followed when its lease is over', () => {
  const ask = restarted(left);
  const report = aReport({ ...alone, disk: 'UpToDate', met: true });
  expect(ask('nfs2', report, 10)).toMatch(/^lease=no\nwhy=nfs1 holds the lease\n/);
  expect(ask('nfs2', report, after)).toBe('lease=yes');
});

it('but not by a machine that has not met it since it booted', () => {
  const ask = restarted(left);
  const report = aReport({ ...alone, disk: 'UpToDate', met: false });
  ask('nfs2', report, 10);
  expect(ask('nfs2', report, after)).toBe('lease=no\nwhy=it waits for nfs1');
});
