import { describe, expect, test } from 'vitest';
import { createBootSet } from '../../../src/boot/boot-set.ts';
import { digestOf } from '../../../src/digest.ts';
import { parseCidr } from '../../../src/net/ipv4.ts';
import type { Site, SiteNode } from '../../../src/site/site.ts';
import type { BootRecord } from '../../../src/state/boots.ts';
import type { Event, Stage } from '../../../src/state/event.ts';
import { foldEvents, rememberBoots } from '../../../src/state/fold-events.ts';
import {
  forgettable,
  newlySilent,
  statusOf,
  toNodeStatus,
} from '../../../src/state/node-status.ts';
import { address, dhcp, event, loader, mac, report, script, start, wholeBoot } from './fold.ts';

function node(name: string, number: number, roles = ['web']): SiteNode {
  return {
    name,
    file: `nodes/${name}.yaml`,
    id: { macs: [mac(number)] },
    roles,
    tags: [],
    links: [{ network: 'boot', macs: [mac(number)], address: address(20 + number), gateway: true }],
    params: {},
    console: { device: 'ttyS0', baud: 115200 },
    image: 'universal',
  };
}

function site(...nodes: SiteNode[]): Site {
  const subnet = parseCidr('10.77.0.0/24');
  if (!subnet) throw new Error('no subnet');
  return {
    name: 'tokyo',
    domain: 'tokyo.example',
    admins: [],
    ntp: [],
    networks: new Map([
      ['boot', { name: 'boot', subnet, server: address(1), dns: [], dhcp: 'server' as const }],
    ]),
    unknown: 'spare',
    secureBoot: false,
    images: { trust: [], publish: 'any' },
    services: new Map(),
    volumes: new Map(),
    clientClasses: new Map(),
    roleParams: new Map(),
    nodes: new Map(nodes.map((n) => [n.name, n])),
  };
}

function look(seconds: number, listening = 0) {
  return { now: start + seconds * 1000, listeningSince: start + listening * 1000 };
}

function at(seconds: number): string {
  return new Date(start + seconds * 1000).toISOString();
}

/** The only row there is. */
function row(events: readonly Event[], seconds: number, of = site(node('web1', 1))) {
  const [first, ...rest] = statusOf(of, foldEvents(events), look(seconds));
  expect(rest).toEqual([]);
  if (!first) throw new Error('no row');
  return first;
}

describe('a boot comes to its stages', () => {
  const steps: readonly Stage[] = [
    'dhcp',
    'loader',
    'script',
    'kernel',
    'root',
    'overlay',
    'ready',
  ];
  const boot = wholeBoot(0, 'a');
  test.each(steps.map((stage, index) => [stage, index] as const))('%s', (stage, index) => {
    const happened = boot.slice(0, index + 1);
    const last = happened.at(-1)?.at ?? 0;
    const status = row(happened, (last - start) / 1000 + 1);
    expect(status).toMatchObject({ stage, since: new Date(last).toISOString(), reason: '' });
    expect(status.steps.map((s) => s.stage)).toEqual(steps.slice(0, index + 1));
  });
});

interface Case {
  readonly name: string;
  readonly events: readonly Event[];
  /** Seconds. */
  readonly look: number;
  readonly stage: Stage;
  readonly since: number | undefined;
  readonly reason?: string;
}

const cases: readonly Case[] = [
  { name: 'never heard of: absent', events: [], look: 0, stage: 'absent', since: undefined },
  {
    name: 'alive keeps the time of ready',
    events: [...wholeBoot(0, 'a'), report(30, 'a', 'alive'), report(40, 'a', 'alive')],
    look: 45,
    stage: 'ready',
    since: 20,
  },
  {
    name: 'ready again keeps the time of the first ready',
    events: [...wholeBoot(0, 'a'), report(30, 'a', 'ready')],
    look: 45,
    stage: 'ready',
    since: 20,
  },
  {
    name: 'failed says why and since when',
    events: [...wholeBoot(0, 'a'), report(30, 'a', 'failed', 'web: connection refused')],
    look: 45,
    stage: 'failed',
    since: 30,
    reason: 'web: connection refused',
  },
  {
    name: 'failed for another reason says the newer one, since the first',
    events: [
      ...wholeBoot(0, 'a'),
      report(30, 'a', 'failed', 'web: connection refused'),
      report(40, 'a', 'failed', 'web: answers 502'),
    ],
    look: 45,
    stage: 'failed',
    since: 30,
    reason: 'web: answers 502',
  },
  {
    name: 'alive keeps a failure and its reason',
    events: [
      ...wholeBoot(0, 'a'),
      report(30, 'a', 'failed', 'web: connection refused'),
      report(40, 'a', 'alive'),
    ],
    look: 45,
    stage: 'failed',
    since: 30,
    reason: 'web: connection refused',
  },
  {
    name: 'ready after a failure is ready since then, with no reason left',
    events: [
      ...wholeBoot(0, 'a'),
      report(30, 'a', 'failed', 'web: connection refused'),
      report(40, 'a', 'ready'),
    ],
    look: 45,
    stage: 'ready',
    since: 40,
    reason: '',
  },
  {
    name: 'thirty seconds without a report are not silence yet',
    events: wholeBoot(0, 'a'),
    look: 50,
    stage: 'ready',
    since: 20,
  },
  {
    name: 'more than thirty seconds without a report are, since the last one',
    events: [...wholeBoot(0, 'a'), report(30, 'a', 'alive')],
    look: 60.001,
    stage: 'silent',
    since: 30,
    reason: 'no report since; it was ready',
  },
  {
    name: 'a failed node falls silent too, and its failure is not forgotten',
    events: [...wholeBoot(0, 'a'), report(30, 'a', 'failed', 'web: answers 502')],
    look: 61,
    stage: 'silent',
    since: 30,
    reason: 'no report since; it was failed: web: answers 502',
  },
  {
    name: 'silence noticed stays silence, however often the server starts anew',
    events: [...wholeBoot(0, 'a'), event(51, { kind: 'silent' })],
    look: 20,
    stage: 'silent',
    since: 20,
    reason: 'no report since; it was ready',
  },
  {
    name: 'a report ends the silence; ready since before it',
    events: [...wholeBoot(0, 'a'), event(51, { kind: 'silent' }), report(100, 'a', 'alive')],
    look: 101,
    stage: 'ready',
    since: 20,
  },
  {
    name: 'a root that loads for minutes is no silence',
    events: wholeBoot(0, 'a').slice(0, 4),
    look: 200,
    stage: 'kernel',
    since: 5,
  },
  {
    name: 'a boot that stands still for more than five minutes is',
    events: wholeBoot(0, 'a').slice(0, 4),
    look: 306,
    stage: 'silent',
    since: 5,
    reason: 'no report since; it was at kernel',
  },
  {
    name: 'the system asking for its address again stays ready',
    events: [...wholeBoot(0, 'a'), dhcp(25, 'os')],
    look: 26,
    stage: 'ready',
    since: 20,
  },
  {
    name: 'the system asking is no sign that the service lives',
    events: [...wholeBoot(0, 'a'), dhcp(45, 'os')],
    look: 51,
    stage: 'silent',
    since: 20,
    reason: 'no report since; it was ready',
  },
  {
    name: 'blobs fetched do not move a node',
    events: [...wholeBoot(0, 'a'), event(25, { kind: 'blob-sent', what: 'root', bytes: 1 })],
    look: 26,
    stage: 'ready',
    since: 20,
  },
  {
    name: 'blobs fetched keep a slow boot from looking dead',
    events: [
      ...wholeBoot(0, 'a').slice(0, 4),
      event(250, { kind: 'blob-sent', what: 'root', bytes: 1 }),
    ],
    look: 400,
    stage: 'kernel',
    since: 5,
  },
  {
    name: 'PXE firmware that asks begins a new boot',
    events: [...wholeBoot(0, 'a'), dhcp(60, 'pxe')],
    look: 61,
    stage: 'dhcp',
    since: 60,
  },
  {
    name: 'HTTP Boot firmware does',
    events: [...wholeBoot(0, 'a'), dhcp(60, 'http')],
    look: 61,
    stage: 'dhcp',
    since: 60,
  },
  {
    name: "a card's own iPXE does",
    events: [...wholeBoot(0, 'a'), dhcp(60, 'ipxe')],
    look: 61,
    stage: 'dhcp',
    since: 60,
  },
  {
    name: 'iPXE right after the loader went out is the loader',
    events: [dhcp(0, 'pxe'), loader(1), dhcp(2, 'ipxe')],
    look: 3,
    stage: 'loader',
    since: 1,
  },
  {
    name: 'our loader asking again is the loader',
    events: [dhcp(0, 'pxe'), loader(1), dhcp(2, 'rolecall')],
    look: 3,
    stage: 'loader',
    since: 1,
  },
  {
    name: 'firmware asking four times has been at it since the first time',
    events: [dhcp(0, 'pxe'), dhcp(4, 'pxe'), dhcp(12, 'pxe'), dhcp(28, 'pxe')],
    look: 29,
    stage: 'dhcp',
    since: 0,
  },
  {
    name: 'firmware asking anew after a long pause has been at it since then',
    events: [dhcp(0, 'pxe'), dhcp(1000, 'pxe')],
    look: 1001,
    stage: 'dhcp',
    since: 1000,
  },
  {
    name: 'a script that somebody else fetched does not hide the boot that still reports',
    events: [...wholeBoot(0, 'a'), script(25, 'b'), report(30, 'a', 'alive')],
    look: 31,
    stage: 'ready',
    since: 20,
  },
  {
    name: 'a reboot reports as itself',
    events: [...wholeBoot(0, 'a'), ...wholeBoot(60, 'b')],
    look: 81,
    stage: 'ready',
    since: 80,
  },
  {
    name: 'a first report where older events are gone counts',
    events: [report(30, 'a', 'ready')],
    look: 31,
    stage: 'ready',
    since: 30,
  },
  {
    name: 'a warning shows while nothing failed',
    events: [...wholeBoot(0, 'a'), event(21, { kind: 'warning', reason: 'memory is 82 % full' })],
    look: 22,
    stage: 'ready',
    since: 20,
    reason: 'memory is 82 % full',
  },
  {
    name: 'a warning that is over is no more to be seen',
    events: [
      ...wholeBoot(0, 'a'),
      event(21, { kind: 'warning', reason: 'memory is 82 % full' }),
      event(22, { kind: 'warning', reason: '' }),
    ],
    look: 23,
    stage: 'ready',
    since: 20,
    reason: '',
  },
  {
    name: 'a failure is worth more than a warning',
    events: [
      ...wholeBoot(0, 'a'),
      event(21, { kind: 'warning', reason: 'memory is 82 % full' }),
      report(22, 'a', 'failed', 'web: answers 502'),
    ],
    look: 23,
    stage: 'failed',
    since: 22,
    reason: 'web: answers 502',
  },
];

test.each(cases.map((c) => [c.name, c] as const))('%s', (_name, c) => {
  const status = row(c.events, c.look);
  expect(status.stage).toBe(c.stage);
  expect(status.since).toBe(c.since === undefined ? '' : at(c.since));
  expect(status.reason).toBe(c.reason ?? '');
});

test('nobody is silent for want of a listener', () => {
  const machines = foldEvents(wholeBoot(0, 'a'));
  const of = site(node('web1', 1));
  expect(statusOf(of, machines, look(1000, 980))[0]?.stage).toBe('ready');
  expect(statusOf(of, machines, look(1011, 980))[0]?.stage).toBe('silent');
});

test('silence is told once', () => {
  const before = foldEvents(wholeBoot(0, 'a'));
  expect(newlySilent(before, look(45))).toEqual([]);
  expect(newlySilent(before, look(51)).map((m) => m.machine)).toEqual([mac(1)]);
  const after = foldEvents([...wholeBoot(0, 'a'), event(51, { kind: 'silent' })]);
  expect(newlySilent(after, look(60))).toEqual([]);
});

describe('after a restart', () => {
  function boot(bootId: string, facts: Partial<BootRecord>): BootRecord {
    const blob = { digest: digestOf('blob'), size: 1 };
    const set = createBootSet({
      node: 'web1',
      roles: ['web'],
      image: digestOf('image'),
      kernel: blob,
      initramfs: blob,
      root: [blob],
      overlay: blob,
      arguments: [],
    });
    return {
      bootId,
      machine: mac(1),
      node: 'web1',
      set,
      runs: facts.set ?? set,
      offered: null,
      tokenHash: digestOf('token'),
      tokenUsedAt: null,
      createdAt: start + 2000,
      address: address(21),
      lastReportAt: null,
      lastStage: '',
      ...facts,
    };
  }
  const after = (events: readonly Event[], seconds: number, ...boots: BootRecord[]) =>
    statusOf(site(node('web1', 1)), rememberBoots(foldEvents(events), boots), look(seconds))[0];

  test('a node was alive until its last report, which only its boot knows', () => {
    const reported = boot('a', { lastReportAt: start + 500_000, lastStage: 'ready' });
    expect(after(wholeBoot(0, 'a'), 520, reported)).toMatchObject({
      stage: 'ready',
      since: at(20),
    });
    expect(after(wholeBoot(0, 'a'), 600, reported)).toMatchObject({
      stage: 'silent',
      since: at(500),
    });
  });

  test('a stage whose event the killed server lost is known by its boot', () => {
    const events = wholeBoot(0, 'a').slice(0, -1);
    const reported = boot('a', { lastReportAt: start + 20_000, lastStage: 'ready' });
    expect(after(events, 21, reported)).toMatchObject({ stage: 'ready', since: at(20) });
  });

  test('so is a boot whose script was the last thing that it sent', () => {
    const events = wholeBoot(0, 'a').slice(0, 2);
    expect(after(events, 3, boot('a', {}))).toMatchObject({
      stage: 'script',
      since: at(2),
      bootId: 'a',
      role: ['web'],
    });
  });

  test('an older boot does not come back', () => {
    const events = [...wholeBoot(0, 'a'), ...wholeBoot(60, 'b')];
    const old = boot('a', { lastReportAt: start + 50_000, lastStage: 'failed' });
    const older = boot('x', { createdAt: start - 5000, lastStage: 'failed' });
    expect(after(events, 81, older, old)).toMatchObject({ stage: 'ready', bootId: 'b' });
    const asking = [...wholeBoot(0, 'a'), dhcp(60, 'pxe')];
    expect(after(asking, 61, old)).toMatchObject({ stage: 'dhcp' });
  });
});

test('who asked once and never booted is forgotten after an hour, who booted is not', () => {
  const machines = foldEvents([dhcp(0, 'pxe', '', mac(9)), ...wholeBoot(0, 'a')]);
  const day = 86_400_000;
  expect(forgettable(machines, start + 3_500_000, day)).toEqual([]);
  expect(forgettable(machines, start + 3_700_000, day)).toEqual([mac(9)]);
  expect(forgettable(machines, start + 2 * day, day)).toHaveLength(2);
});

describe('roles and names', () => {
  test('a running node shows the roles it runs, and those to come', () => {
    const status = row(wholeBoot(0, 'a', ['web']), 21, site(node('web1', 1, ['mail'])));
    expect(status).toMatchObject({
      role: ['web'],
      nextRole: ['mail'],
      stage: 'ready',
      reason: 'becomes mail at its next boot',
    });
  });

  test('from the first question of its next boot it shows the new ones', () => {
    const events = [...wholeBoot(0, 'a', ['web']), dhcp(60, 'pxe')];
    const status = row(events, 61, site(node('web1', 1, ['mail'])));
    expect(status).toMatchObject({ role: ['mail'], stage: 'dhcp', bootSet: '', reason: '' });
    expect(status.nextRole).toBeUndefined();
  });

  test('a machine that no role file names is a spare with its hardware', () => {
    const hardware = {
      cpu: 'QEMU Virtual CPU',
      cpus: 2,
      memory: 512,
      disks: [],
      nics: [],
      serial: 'S1',
      uuid: '',
      product: 'Standard PC',
      firmware: 'bios' as const,
    };
    const name = 'spare-525400000001';
    const events = [
      ...wholeBoot(0, 'a', ['spare'], name),
      event(20, { kind: 'hardware', hardware }, name),
    ];
    expect(row(events, 21, site())).toMatchObject({
      name,
      spare: true,
      role: ['spare'],
      stage: 'ready',
      address: '10.77.0.21',
      hardware,
    });
  });

  test('a spare that a role file names by now is that node, not booted yet', () => {
    const status = row(
      wholeBoot(0, 'a', ['spare'], 'spare-525400000001'),
      21,
      site(node('web3', 1)),
    );
    expect(status).toMatchObject({
      name: 'web3',
      role: ['web'],
      stage: 'absent',
      since: '',
      bootSet: '',
      address: '10.77.0.21',
      reason: '52:54:00:00:00:01 still runs as spare (ready); it reboots by itself',
    });
  });

  test('a silent spare is not said to reboot by itself', () => {
    const events = wholeBoot(0, 'a', ['spare'], 'spare-525400000001');
    expect(row(events, 100, site(node('web3', 1))).reason).toBe(
      '52:54:00:00:00:01 still runs as spare (silent)',
    );
  });

  test('the next boot of that spare shows under the new name', () => {
    const events = [...wholeBoot(0, 'a', ['spare'], 'spare-525400000001'), dhcp(60, 'pxe', 'web3')];
    expect(row(events, 61, site(node('web3', 1)))).toMatchObject({ name: 'web3', stage: 'dhcp' });
  });

  test('a renamed node is not booted yet under its new name', () => {
    expect(row(wholeBoot(0, 'a'), 21, site(node('www1', 1)))).toMatchObject({
      name: 'www1',
      stage: 'absent',
      reason: '52:54:00:00:00:01 still runs as web1 (ready); reboot it',
    });
  });

  test('a node whose role file is gone is a spare that still runs as it', () => {
    expect(row(wholeBoot(0, 'a'), 21, site())).toMatchObject({
      name: 'spare-525400000001',
      spare: true,
      role: ['web'],
      reason: 'still runs as web1, which no role file gives it any more',
    });
  });

  test('a node known by its serial number is found by its hardware', () => {
    const known: SiteNode = { ...node('db1', 1), id: { macs: [], serial: 'S1' } };
    expect(row(wholeBoot(0, 'a', ['web'], 'db1'), 21, site(known))).toMatchObject({
      name: 'db1',
      stage: 'ready',
      mac: ['52:54:00:00:00:01'],
    });
  });

  test('of two cards of one node the one heard last counts', () => {
    const both: SiteNode = { ...node('lv1', 1), id: { macs: [mac(1), mac(2)] } };
    const events = [
      ...wholeBoot(0, 'a', ['web'], 'lv1', mac(1)),
      ...wholeBoot(60, 'b', ['web'], 'lv1', mac(2)),
    ];
    expect(row(events, 81, site(both))).toMatchObject({ stage: 'ready', since: at(80) });
  });

  test('nodes come first, then spares, each by name', () => {
    const machines = foldEvents([
      ...wholeBoot(0, 'a', ['spare'], 'spare-525400000009', mac(9)),
      ...wholeBoot(0, 'b', ['spare'], 'spare-525400000008', mac(8)),
    ]);
    const rows = statusOf(site(node('web2', 2), node('web1', 1)), machines, look(21));
    expect(rows.map((r) => r.name)).toEqual([
      'web1',
      'web2',
      'spare-525400000008',
      'spare-525400000009',
    ]);
  });

  test('where unknown machines are ignored, those that only asked are not listed', () => {
    const of: Site = { ...site(), unknown: 'ignore' };
    expect(statusOf(of, foldEvents([dhcp(0, 'pxe', '')]), look(1))).toEqual([]);
  });
});

test('the row of node ls has exactly the agreed fields', () => {
  expect(Object.keys(toNodeStatus(row(wholeBoot(0, 'a'), 21)))).toEqual([
    'name',
    'role',
    'mac',
    'address',
    'stage',
    'since',
    'bootSet',
    'image',
    'reason',
  ]);
});

test('a service that fails and recovers for days keeps the steps of its boot', () => {
  const flapping = Array.from({ length: 200 }, (_, i) =>
    report(30 + i, 'a', i % 2 ? 'ready' : 'failed'),
  );
  const { steps } = row([...wholeBoot(0, 'a'), ...flapping], 231);
  expect(steps).toHaveLength(20);
  expect(steps[0]).toEqual({ stage: 'dhcp', at: at(0) });
  expect(steps[6]).toEqual({ stage: 'ready', at: at(20) });
});
