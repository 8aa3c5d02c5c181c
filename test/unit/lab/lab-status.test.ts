import { describe, expect, it } from 'vitest';
import type { LabReport } from '../../../src/lab/control.ts';
import { labStatus } from '../../../src/lab/lab.ts';
import { isSettled, labRows, renderChanges } from '../../../src/lab/lab-view.ts';
import { planGuests } from '../../../src/lab/vm-spec.ts';
import type { NodeStatus } from '../../../src/state/event.ts';
import { node, siteOf } from './a-site.ts';

const site = siteOf(node('web1', { boot: '52:54:00:77:00:11' }));
const guests = planGuests(site, { spares: 1, memory: 512 });

const row = (over: Partial<NodeStatus>): NodeStatus => ({
  name: 'web1',
  role: ['web'],
  mac: ['52:54:00:77:00:11'],
  address: '10.77.0.11',
  stage: 'ready',
  since: '2026-01-01T00:00:00.000Z',
  bootSet: '',
  image: '',
  reason: '',
  ...over,
});
const report = (rows: readonly NodeStatus[]): LabReport => ({
  phase: 'running',
  step: '',
  consoleUrl: '',
  guests,
  rows,
  off: [],
  waiting: [],
  ports: {},
  problem: '',
});
const spare = { name: 'spare-525400770099', role: ['spare'], mac: ['52:54:00:77:00:99'] };

describe('status of a lab', () => {
  it('lists a guest that the server has not met as absent', () => {
    const rows = labStatus([row({})], guests, () => true);
    expect(rows.map((r) => [r.name, r.stage, r.reason])).toEqual([
      ['web1', 'ready', ''],
      ['spare-525400770099', 'absent', ''],
    ]);
  });

  it('says which machine has no power', () => {
    const rows = labStatus([row({})], guests, () => false);
    expect(rows.map((r) => r.reason)).toEqual(['its power is off', 'its power is off']);
  });

  it('knows a spare that became a node by its MAC', () => {
    const rows = labStatus([row({}), row({ ...spare, name: 'web3' })], guests, () => true);
    expect(rows.map((r) => r.name)).toEqual(['web1', 'web3']);
  });
});

describe('watching a lab', () => {
  it('shows the guests in their order and none of the nodes that were not started', () => {
    const rows = [row(spare), row({ name: 'other', mac: ['52:54:00:00:00:01'] }), row({})];
    expect(labRows(report(rows)).map((r) => [r.status.name, r.firmware])).toEqual([
      ['web1', 'BIOS'],
      ['spare-525400770099', 'UEFI'],
    ]);
  });

  it('has settled when all are ready or say why not', () => {
    expect(isSettled(report([row({}), row({ ...spare, stage: 'root' })]))).toBe(false);
    expect(isSettled(report([row({}), row({ ...spare, stage: 'failed' })]))).toBe(true);
    expect(isSettled(report([]))).toBe(false);
    const rows = [row({}), row({ ...spare, stage: 'absent', since: '' })];
    expect(isSettled({ ...report(rows), off: [spare.name] })).toBe(true);
    expect(isSettled({ ...report(rows), off: [spare.name], waiting: [spare.name] })).toBe(false);
  });

  it('shows no machine that was never on, and one that was switched off', () => {
    const rows = [row({ stage: 'silent' }), row({ ...spare, stage: 'absent', since: '' })];
    const shown = labRows({ ...report(rows), off: ['web1', spare.name] });
    expect(shown.map((r) => r.status.name)).toEqual(['web1']);
  });

  it('tells only what has changed', () => {
    const before = report([row({ stage: 'overlay' }), row({ ...spare })]);
    const now = report([row({}), row({ ...spare })]);
    expect(renderChanges(before, now)).toEqual(['web1 (BIOS) ready as web']);
    expect(renderChanges(now, now)).toEqual([]);
  });
});
