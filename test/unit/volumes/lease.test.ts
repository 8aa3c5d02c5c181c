import { describe, expect, test } from 'vitest';
import {
  afterRestart,
  type Claim,
  decideLease,
  freeLease,
  type Lease,
  leaseTime,
} from '../../../src/volumes/lease.ts';
import { alone, aReport } from './a-report.ts';

const now = 1_000_000;
const led: Lease = { holder: { node: 'nfs1', bootId: 'one' }, until: now + 3000 };
const over: Lease = { ...led, until: now - 1 };

function claim(node: 'nfs1' | 'nfs2', facts: Partial<Claim> = {}): Claim {
  return {
    node,
    bootId: node === 'nfs1' ? 'one' : 'two',
    peer: node === 'nfs1' ? 'nfs2' : 'nfs1',
    isFirst: node === 'nfs1',
    report: aReport(),
    heardFor: 60_000,
    wasConnected: true,
    ...facts,
  };
}
const peerReport = { report: aReport(), age: 500 };

describe('a volume that nobody leads', () => {
  test('is led by the first node of the site where both are well', () => {
    const first = decideLease(freeLease, claim('nfs1', { peerReport }), now);
    expect(first).toMatchObject({ isGranted: true, isDurable: true });
    expect(first.lease).toEqual({
      holder: { node: 'nfs1', bootId: 'one' },
      until: now + leaseTime,
    });
    const second = decideLease(freeLease, claim('nfs2', { peerReport }), now);
    expect(second).toMatchObject({ isGranted: false, why: 'nfs1 comes first' });
  });

  test('is led by the second where the first has fallen silent', () => {
    const late = { report: aReport(), age: 10_000 };
    expect(decideLease(freeLease, claim('nfs2', { peerReport: late }), now).isGranted).toBe(true);
  });

  test('is not led by a machine that has just booted and has not met its peer', () => {
    const fresh = { report: aReport({ ...alone, disk: 'Consistent' }), wasConnected: false };
    const early = decideLease(freeLease, claim('nfs1', { ...fresh, heardFor: 2000 }), now);
    expect(early).toMatchObject({ isGranted: false, why: 'it waits for nfs2' });
    const later = decideLease(freeLease, claim('nfs1', { ...fresh, heardFor: 16_000 }), now);
    expect(later.isGranted).toBe(true);
  });

  test.each(['Inconsistent', 'Outdated', 'Diskless', 'Failed', 'Attaching'])(
    'is not led by a node whose copy is %s',
    (disk) => {
      const decision = decideLease(freeLease, claim('nfs1', { report: aReport({ disk }) }), now);
      expect(decision).toMatchObject({ isGranted: false, why: `its copy is ${disk}` });
    },
  );

  test('goes to the other node where one has given it back', () => {
    const back = decideLease(led, claim('nfs1', { report: aReport({ release: true }) }), now);
    expect(back).toMatchObject({ isGranted: false, isDurable: true });
    expect(back.lease.holder).toBeUndefined();
    const again = decideLease(back.lease, claim('nfs1', { peerReport }), now);
    expect(again).toMatchObject({ isGranted: false, why: "it is nfs2's turn" });
    expect(decideLease(back.lease, claim('nfs2', { peerReport }), now).isGranted).toBe(true);
  });
});

describe('a volume that is led', () => {
  test('stays with its leader, without a word on disk', () => {
    const report = aReport({ role: 'Primary' });
    const decision = decideLease(led, claim('nfs1', { report }), now);
    expect(decision).toMatchObject({ isGranted: true, isDurable: false });
    expect(decision.lease.until).toBe(now + leaseTime);
  });

  test('is nobody else’s until the term is over, whatever they ask', () => {
    for (const report of [aReport(alone), aReport({ ...alone, fence: true })]) {
      const early = decideLease(led, claim('nfs2', { report }), now);
      expect(early).toMatchObject({ isGranted: false, why: 'nfs1 holds the lease' });
      expect(early.lease).toEqual(led);
      expect(early.again, 'when to ask again').toBe(3000);
    }
    expect(decideLease(over, claim('nfs2', { report: aReport(alone) }), now).isGranted).toBe(true);
  });

  test('is not the same machine’s after it fell', () => {
    const reborn = claim('nfs1', { bootId: 'three', report: aReport(alone) });
    expect(decideLease(led, reborn, now).isGranted).toBe(false);
  });

  test('is not taken from a leader that is connected, but for one that is silent for long', () => {
    const report = aReport({ peerRole: 'Primary' });
    const soon = decideLease(over, claim('nfs2', { report }), now);
    expect(soon).toMatchObject({ isGranted: false, why: 'nfs1 leads' });
    const late = decideLease({ ...led, until: now - 11_000 }, claim('nfs2', { report }), now);
    expect(late).toMatchObject({ isGranted: true, disconnect: true });
  });

  test('is led for a whole term after the server’s start', () => {
    const restarted = afterRestart({ ...led, until: 0 }, 50);
    const report = aReport(alone);
    expect(decideLease(restarted, claim('nfs2', { report }), 50 + 4999).isGranted).toBe(false);
    expect(decideLease(restarted, claim('nfs2', { report }), 50 + 5000).isGranted).toBe(true);
  });
});

describe('a leader that goes on alone', () => {
  const fence = aReport({ ...alone, role: 'Primary', fence: true, at: 200 });
  const solo = decideLease(led, claim('nfs1', { report: fence }), now);

  test('makes the other copy count as older, on disk before it may go on', () => {
    expect(solo).toMatchObject({ isGranted: true, isDurable: true });
    expect(solo.lease.outdated).toEqual({ node: 'nfs2', bootId: 'one', at: 200 });
  });

  test('keeps the other from leading, however long it is dead itself', () => {
    const late = decideLease(
      solo.lease,
      claim('nfs2', { report: aReport({ ...alone, disk: 'Consistent' }) }),
      now + 1e9,
    );
    expect(late).toMatchObject({
      ...{ isGranted: false, outdate: true, why: 'its copy is older than that of nfs1' },
    });
    const asks = claim('nfs2', { report: aReport({ ...alone, fence: true }) });
    expect(decideLease(solo.lease, asks, now + 1e9).isGranted).toBe(false);
  });

  test('takes the word back when it has seen the other up to date since', () => {
    const whole = aReport({ role: 'Primary' });
    const after = decideLease(solo.lease, claim('nfs1', { report: { ...whole, at: 201 } }), now);
    expect(after.lease.outdated).toBeUndefined();
    expect(after.isDurable).toBe(true);
  });

  test.each([
    ['looked before', { at: 200 }],
    ['still copies', { at: 300, connection: 'SyncSource', peerDisk: 'Inconsistent' }],
    ['is not connected', { at: 300, ...alone }],
    ['does not lead', { at: 300, role: 'Secondary' }],
  ])('does not where it %s', (_name, facts) => {
    const report = aReport({ role: 'Primary', ...facts });
    const after = decideLease(solo.lease, claim('nfs1', { report }), now);
    expect(after.lease.outdated?.node).toBe('nfs2');
  });

  test('is not believed by the word of the other', () => {
    const report = aReport({ role: 'Primary', at: 300 });
    const after = decideLease({ ...solo.lease, until: 0 }, claim('nfs2', { report }), now);
    expect(after.lease.outdated?.node).toBe('nfs2');
  });
});
