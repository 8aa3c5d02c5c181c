import { describe, expect, test } from 'vitest';
import { type PairMember, partnersOf, whyWait } from '../../../src/server/follow-order.ts';
import { labFleet } from './a-generation.ts';

const current: PairMember = {
  ...{ name: 'lv2', stage: 'ready', fault: '', vrrp: 'backup', due: 'nothing' },
  ...{ isFollowing: false, isProven: true, refusal: '' },
};
const master = { name: 'lv1', vrrp: 'master', fault: '', actsOnUnits: true } as const;
const backup = { name: 'lv2', vrrp: 'backup', fault: '', actsOnUnits: true } as const;

describe('the master', () => {
  test.each<[string, Partial<PairMember>, string | undefined]>([
    ['follows when the backup runs its newest set and works', {}, undefined],
    ['waits while the backup has yet to follow', { due: 'follow' }, 'lv2 goes first'],
    ['waits while the backup follows', { isFollowing: true }, 'lv2 follows now'],
    ['waits for a reboot', { due: 'reboot' }, 'lv2 goes first and needs a reboot'],
    [
      'waits until the backup was looked at since it followed',
      { isProven: false },
      'lv2 followed, and has yet to show that it works',
    ],
    ['waits for a backup that boots', { stage: 'root' }, 'lv2 goes first and is not ready (root)'],
    [
      'waits for a backup that fails',
      { stage: 'failed' },
      'lv2 goes first and is not ready (failed)',
    ],
    [
      'stays as it is when the backup refused',
      { due: 'follow', refusal: 'keepalived -t: line 3' },
      'lv2 did not follow (keepalived -t: line 3)',
    ],
    [
      'stays while nobody could take over',
      { stage: 'silent' },
      'lv2 is silent: nobody could take over; start it, or take it out of the site',
    ],
    [
      'waits for a silent partner that was master before',
      { stage: 'silent', vrrp: 'master' },
      'lv2 is silent: nobody could take over; start it, or take it out of the site',
    ],
    ['does not wait for a machine that was never there', { stage: 'absent' }, undefined],
  ])('%s', (_name, facts, why) => {
    expect(whyWait(master, [{ ...current, ...facts }])).toBe(why);
  });

  test('does not wait for a backup that lacks only what it lacks itself', () => {
    const fault = 'lb: no server works for mail at 203.0.113.25 port 25';
    const failed = { ...current, stage: 'failed', fault } as const;
    expect(whyWait({ ...master, fault }, [failed])).toBeUndefined();
    expect(whyWait({ ...master, fault }, [{ ...failed, isProven: false }])).toBe(
      'lv2 followed, and has yet to show that it works',
    );
    const more = { ...failed, fault: `${fault}, www at 203.0.113.80 port 80` };
    expect(whyWait({ ...master, fault }, [more])).toBe('lv2 goes first and is not ready (failed)');
    expect(whyWait(master, [failed])).toBe('lv2 goes first and is not ready (failed)');
  });

  test('waits for every backup', () => {
    const behind = { ...current, name: 'lv3', due: 'follow' } as const;
    expect(whyWait(master, [current, behind])).toBe('lv3 goes first');
  });
});

describe('the backup', () => {
  const lv1: PairMember = { ...current, name: 'lv1', vrrp: 'master', due: 'follow' };
  test.each<[string, Partial<PairMember>, string | undefined]>([
    ['goes first', {}, undefined],
    ['goes while the master fails: it may be the cure', { stage: 'failed' }, undefined],
    ['goes whatever the master refused', { refusal: 'keepalived -t' }, undefined],
    ['waits while the master follows', { isFollowing: true }, 'lv1 follows now'],
  ])('%s', (_name, facts, why) => {
    expect(whyWait(backup, [{ ...lv1, ...facts }])).toBe(why);
  });
});

describe('an edit that acts on no unit', () => {
  const { vrrp: _, ...working } = { ...current, name: 'nfs2' };
  const nfs1 = { name: 'nfs1', fault: '', actsOnUnits: false } as const;
  test.each<[string, Partial<PairMember>, string | undefined]>([
    ['waits for no dead partner', { stage: 'silent', due: 'follow' }, undefined],
    ['nor for one that died as it followed', { stage: 'silent', isFollowing: true }, undefined],
    ['nor for one that boots', { stage: 'root', due: 'follow' }, undefined],
    ['nor for one that fails', { stage: 'failed', fault: 'its disk' }, undefined],
    ['nor for the reboot of one', { due: 'reboot' }, undefined],
    ['lets one that works go first', { due: 'follow' }, 'nfs2 goes first'],
    ['lets one that fails go first', { due: 'follow', stage: 'failed' }, 'nfs2 goes first'],
    ['waits while one that works follows', { isFollowing: true }, 'nfs2 follows now'],
    [
      'waits until it has shown that it works',
      { isProven: false },
      'nfs2 followed, and has yet to show that it works',
    ],
    [
      'stays as it is where one that works refused',
      { refusal: 'no space', due: 'follow' },
      'nfs2 did not follow (no space)',
    ],
  ])('%s', (_name, facts, why) => {
    expect(whyWait(nfs1, [{ ...working, ...facts }])).toBe(why);
  });
});

test('where keepalived says nothing the last name goes first, one after the other', () => {
  const { vrrp: _, ...silent } = current;
  const [a, b] = [
    { ...silent, name: 'a', due: 'follow' },
    { ...silent, name: 'b', due: 'follow' },
  ] as const;
  const me = { fault: '', actsOnUnits: true };
  expect(whyWait({ ...me, name: 'b' }, [a])).toBeUndefined();
  expect(whyWait({ ...me, name: 'a' }, [b])).toBe('b goes first');
});

test('the balancers of a service and the pair of a volume are partners', async () => {
  const { site } = await labFleet();
  const service = {
    ...{ name: 'www', vip: new Map(), ports: [80], protocol: 'tcp', forward: 'dsr' },
    ...{ inside: new Map(), scheduler: 'wlc' },
    balancers: { kind: 'names', names: ['lv1', 'lv2'] },
    servers: { kind: 'names', names: ['web1', 'web2'] },
  } as const;
  const volume = {
    ...{ name: 'www', nodes: ['nfs1', 'lv2'], device: '/dev/x', replication: 'boot' },
    ...{ vip: new Map(), clients: { kind: 'names', names: ['web1'] }, at: '/srv/www' },
  } as const;
  const pairs = {
    ...site,
    services: new Map([['www', { ...site.services.get('www'), ...service }]]),
    volumes: new Map([['www', { ...site.volumes.get('www'), ...volume }]]),
  } as unknown as typeof site;
  expect(partnersOf(pairs, 'lv1')).toEqual(['lv2']);
  expect(partnersOf(pairs, 'lv2')).toEqual(['lv1', 'nfs1']);
  expect(partnersOf(pairs, 'web1')).toEqual([]);
});
