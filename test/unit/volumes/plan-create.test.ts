import { describe, expect, test } from 'vitest';
import {
  advanceOrder,
  type CreateOrder,
  describeOrder,
  stepFor,
} from '../../../src/volumes/create-order.ts';
import { type PairMember, planCreate } from '../../../src/volumes/plan-create.ts';
import { type DiskSurvey, describeDisk } from '../../../src/volumes/volume-report.ts';
import { aReport } from './a-report.ts';

const notUp = {
  ...{ role: '', peerRole: '', connection: '', disk: '', peerDisk: '' },
};
const blankDisk: DiskSurvey = { state: 'blank', bytes: 1e9, model: 'QEMU www', found: '' };
const blank = aReport({ ...notUp, survey: blankDisk });
const withSurvey = (facts: Partial<DiskSurvey>) =>
  aReport({ ...notUp, survey: { ...blankDisk, ...facts } });
const pair = (a: PairMember['report'], b: PairMember['report']) =>
  [
    { node: 'nfs1', report: a },
    { node: 'nfs2', report: b },
  ] as const;

describe('what volume create may overwrite', () => {
  test('two blank disks, and it names both', () => {
    const plan = planCreate(pair(blank, blank), false);
    expect(plan).toMatchObject({
      kind: 'create',
      overwrite: [{ node: 'nfs1' }, { node: 'nfs2' }],
    });
  });

  test.each([
    ['a file system', { state: 'signed', found: 'ext4' }],
    ['metadata of some volume', { state: 'signed', found: 'drbd' }],
    ['data without a signature', { state: 'signed', found: 'data in its first MiB' }],
  ] as const)('%s only with --force', (_name, facts) => {
    const found = withSurvey(facts);
    const plain = planCreate(pair(blank, found), false);
    expect(plain).toMatchObject({
      kind: 'refuse',
      reasons: [`nfs2: its disk is not blank: ${facts.found}`],
      hint: expect.stringContaining('--force'),
    });
    expect(planCreate(pair(blank, found), true)).toMatchObject({ kind: 'create' });
  });

  test.each([
    ['absent', 'nfs2: there is no such disk'],
    ['used', 'nfs2: its disk is in use: mounted at /mnt'],
    ['unreadable', 'nfs2: its disk cannot be read: mounted at /mnt'],
  ] as const)('never one that is %s', (state, reason) => {
    const other = withSurvey({ state, found: 'mounted at /mnt' });
    for (const force of [false, true]) {
      expect(planCreate(pair(blank, other), force)).toMatchObject({
        ...{ kind: 'refuse', reasons: [reason] },
      });
    }
  });

  test.each(['UpToDate', 'Consistent', 'Outdated'])('never two copies that are %s', (disk) => {
    const copy = aReport({ disk });
    expect(planCreate(pair(copy, copy), true)).toMatchObject({ kind: 'refuse' });
  });

  test('one good copy stays whatever is typed, and a blank disk joins it', () => {
    const good = aReport({ connection: 'WFConnection', role: 'Primary', peerDisk: 'DUnknown' });
    for (const force of [false, true]) {
      expect(planCreate(pair(good, blank), force)).toMatchObject({
        ...{ kind: 'join', source: 'nfs1', overwrite: [{ node: 'nfs2' }] },
      });
    }
  });

  test('nothing where a node does not report', () => {
    expect(planCreate(pair(blank, undefined), true)).toMatchObject({
      ...{ kind: 'refuse', reasons: ['nfs2 does not report'] },
    });
  });

  test('a disk that was not looked at yet is waited for, beside one that is refused it is not', () => {
    const early = aReport({ ...notUp });
    expect(planCreate(pair(blank, early), true)).toMatchObject({
      ...{ kind: 'refuse', reasons: ['nfs2: its disk was not looked at yet'], isEarly: true },
      hint: expect.stringContaining('rolecall volume status'),
    });
    const used = withSurvey({ state: 'used', found: 'mounted at /mnt' });
    expect(planCreate(pair(used, early), true)).toMatchObject({ kind: 'refuse', isEarly: false });
    const signed = withSurvey({ state: 'signed', found: 'ext4' });
    expect(planCreate(pair(signed, early), false)).toMatchObject({ isEarly: false });
  });

  test('a disk is described by all that was shown', () => {
    const found = withSurvey({ state: 'signed', found: 'ext4 dos' }).survey;
    expect(found && describeDisk(found)).toBe('signed|1000000000|QEMU_www|ext4_dos');
  });
});

describe('an order', () => {
  const plan = planCreate(pair(blank, blank), false);
  if (plan.kind === 'refuse') throw new Error('two blank disks are refused');
  const order: CreateOrder = {
    ...{ id: 'a1', plan, force: false, first: 'nfs1' },
    ...{ done: [], state: 'running', why: '', since: 0 },
  };
  const did = (step: string, state: 'done' | 'failed' = 'done', why = '') => ({
    order: { id: 'a1', step, state, why },
  });
  const fresh = aReport({ disk: 'Inconsistent', peerDisk: 'Inconsistent' });

  test('goes through metadata on both, then the first clears and formats', () => {
    expect(stepFor(order, 'nfs1', blank)).toBe('metadata');
    expect(stepFor(order, 'nfs2', blank)).toBe('metadata');
    expect(describeOrder(order)).toBe('metadata is written on nfs1, nfs2');
    const one = advanceOrder(order, 'nfs1', { ...fresh, ...did('metadata') }, 1);
    expect(stepFor(one, 'nfs1', fresh)).toBeUndefined();
    const both = advanceOrder(one, 'nfs2', { ...fresh, ...did('metadata') }, 2);
    expect(stepFor(both, 'nfs1', fresh)).toBe('clear');
    expect(stepFor(both, 'nfs2', fresh)).toBeUndefined();
    expect([one, both].map(describeOrder)).toEqual([
      ...['metadata is written on nfs2', 'the two copies connect'],
    ]);
    const cleared = advanceOrder(both, 'nfs1', { ...fresh, ...did('clear') }, 3);
    expect(stepFor(cleared, 'nfs1', aReport())).toBe('format');
    const formatted = advanceOrder(cleared, 'nfs1', { ...aReport(), ...did('format') }, 4);
    expect(formatted.state).toBe('done');
    expect([cleared, formatted].map(describeOrder)).toEqual(['nfs1 makes the file system', '']);
    expect(stepFor(formatted, 'nfs1', aReport())).toBeUndefined();
  });

  test('declares nothing equal where one copy is not fresh', () => {
    const both = { ...order, done: ['nfs1 metadata', 'nfs2 metadata'] };
    for (const facts of [
      { peerDisk: 'UpToDate' },
      { disk: 'UpToDate' },
      { connection: 'WFConnection' },
    ]) {
      expect(stepFor(both, 'nfs1', { ...fresh, ...facts })).toBeUndefined();
    }
  });

  test('formats nothing while it is not whole on both', () => {
    const cleared = { ...order, done: ['nfs1 metadata', 'nfs2 metadata', 'nfs1 clear'] };
    expect(stepFor(cleared, 'nfs1', aReport({ peerDisk: 'Inconsistent' }))).toBeUndefined();
  });

  test('a disk that joins gets metadata and nothing else', () => {
    const join = {
      ...order,
      plan: { ...plan, kind: 'join', overwrite: plan.overwrite.slice(1) },
    } as const;
    expect(stepFor(join, 'nfs1', aReport())).toBeUndefined();
    expect(stepFor(join, 'nfs2', blank)).toBe('metadata');
    expect(advanceOrder(join, 'nfs2', { ...fresh, ...did('metadata') }, 1).state).toBe('done');
  });

  test('ends where a node fails or does nothing', () => {
    const failed = advanceOrder(order, 'nfs2', { ...blank, ...did('metadata', 'failed', 'no') }, 1);
    expect(failed).toMatchObject({ state: 'failed', why: 'nfs2: metadata: no' });
    expect(advanceOrder(order, 'nfs1', blank, 180_001)).toMatchObject({ state: 'failed' });
    // A slow node is given the time for each step.
    const one = advanceOrder(order, 'nfs1', { ...fresh, ...did('metadata') }, 170_000);
    expect(advanceOrder(one, 'nfs2', blank, 340_000).state).toBe('running');
    expect(advanceOrder(one, 'nfs2', blank, 350_001)).toMatchObject({
      ...{ state: 'failed', why: 'no step within 3 minutes; not done: nfs2 metadata' },
    });
    const cleared = ['nfs1 metadata', 'nfs2 metadata', 'nfs1 clear'];
    expect(advanceOrder({ ...order, done: cleared }, 'nfs1', blank, 180_001).why).toBe(
      'no step within 3 minutes; nfs1 did not make the file system',
    );
    const other = {
      ...blank,
      order: { id: 'b2', step: 'metadata', state: 'done', why: '' },
    } as const;
    expect(advanceOrder(order, 'nfs1', other, 1).done).toEqual([]);
  });
});
