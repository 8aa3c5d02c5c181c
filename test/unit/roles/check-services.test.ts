import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { balancerGroups } from '../../../src/roles/balancer-groups.ts';
import { loadFleet } from '../../../src/roles/load-fleet.ts';

const good = join(import.meta.dirname, '../../golden/overlay/services/site');

let site: string;
beforeEach(async () => {
  site = await mkdtemp(join(tmpdir(), 'rolecall-services-'));
  await cp(good, site, { recursive: true });
});
afterEach(async () => {
  await rm(site, { recursive: true });
});

type Edit = readonly [file: string, from: string, to: string];

/** What is said of the site after the edits: `where message | hint`. */
async function said(...edits: readonly Edit[]): Promise<readonly string[]> {
  for (const [file, from, to] of edits) {
    const path = join(site, file);
    const text = await readFile(path, 'utf8');
    expect(text).toContain(from);
    await writeFile(path, text.replace(from, to));
  }
  const fleet = await loadFleet(site);
  return fleet.ok ? [] : fleet.problems.map((p) => `${p.file} ${p.path} ${p.message} | ${p.hint}`);
}

const service = (text: string): Edit => ['site.yaml', 'services:\n', `services:\n  ${text}\n`];

test('nothing is wrong with services that fit', async () => {
  expect(await said()).toEqual([]);
});

describe('virtual router IDs', () => {
  const inside: Edit = ['site.yaml', 'vrid: {out-side: 51}', 'vrid: {out-side: 51, boot: 60}'];
  const base = (vrid: number): Edit => [
    'site.yaml',
    'vip: {boot: 10.77.0.120}\n    port: 5432',
    `vip: {boot: 10.77.0.120}\n    vrid: {boot: ${vrid}}\n    port: 5432`,
  ];

  /** By instance. */
  const vrids = async () => {
    const fleet = await loadFleet(site);
    if (!fleet.ok) throw new Error(JSON.stringify(fleet.problems));
    const instances = balancerGroups(fleet.value.site).flatMap((group) => group.instances);
    return Object.fromEntries(instances.map(({ name, vrid }) => [name, vrid]));
  };

  test('stay when another service names the same balancers in another way', async () => {
    const before = await vrids();
    const added = (name: string, address: string, balancers: string) =>
      service(
        `${name}: {vip: {boot: ${address}}, port: 8080, forward: dsr, balancers: ${balancers}, servers: [web2]}`,
      );
    const more = [
      added('aa', '10.77.0.121', '[lv1, lv2]'),
      added('ab', '10.77.0.122', '[in2, in1]'),
    ];
    expect(await said(...more)).toEqual([]);
    expect(await vrids()).toEqual(before);
  });

  test('of two groups of balancers on one network', async () => {
    expect(await said(inside, base(60))).toEqual([
      'site.yaml services.www.vrid.boot VRID 60 on boot is also that of base, on other balancers (in1, in2) | leave one out: rolecall finds one that is free',
    ]);
  });

  test('of one number on two networks do not clash', async () => {
    expect(await said(base(51))).toEqual([]);
  });

  test('of one group, written twice and differently', async () => {
    const letters: Edit = ['site.yaml', 'check: smtp', 'check: smtp\n    vrid: {boot: 61}'];
    expect(await said(base(60), letters)).toEqual([
      'site.yaml services.letters.vrid.boot letters and base have the same balancers, and two VRIDs on boot: 61 and 60 | write it once',
    ]);
  });

  test('that follow from names give way to one that is written', async () => {
    const vridOf = async (group: string) => (await vrids())[`${group}.boot`];
    const derived = (await vridOf('tag-edge')) ?? 0;
    expect(await said(base(derived))).toEqual([]);
    expect(await vridOf('in1+in2')).toBe(derived);
    expect(await vridOf('tag-edge')).not.toBe(derived);
  });
});

test.each([
  ['echo hello\n', 'checks/base.sh  the check of service base does not begin with #!'],
  [
    '#!/bin/sh\r\nexit 0\r\n',
    'checks/base.sh  the check of service base has Windows line ends: no kernel finds the program that its first line names',
  ],
])('a program that no kernel could start: %j', async (text, message) => {
  await writeFile(join(site, 'checks/base.sh'), text);
  expect(await said()).toEqual([expect.stringContaining(message)]);
});

test.each([
  ['0.125', ['params.lb.advertise: 0.125 is no whole number of hundredths of a second']],
  ['0.29', []],
])('advertisements every %s s', async (seconds, expected) => {
  const edit = (node: string): Edit => [
    `nodes/${node}.yaml`,
    'advertise: 1',
    `advertise: ${seconds}`,
  ];
  const found = await said(edit('in1'), edit('in2'));
  expect(found).toEqual(expected.map((text) => expect.stringContaining(text)));
});

describe('VIPs', () => {
  const api = (vip: string, more = 'balancers: {tag: edge}, servers: [web2]') =>
    service(`api: {vip: {boot: ${vip}}, port: 8080, forward: dsr, ${more}}`);

  test('of two services on one address with other balancers', async () => {
    expect(await said(api('10.77.0.120'))).toEqual([
      'site.yaml services.api.vip.boot 10.77.0.120 is also a VIP of base, on other balancers (in1, in2) | give both services the same balancers, or another VIP',
    ]);
  });

  test('of two services with the same balancers and other ports share an address', async () => {
    expect(await said(api('10.77.0.120', 'balancers: [in2, in1], servers: [web2]'))).toEqual([]);
  });

  test('of two services with one address and port', async () => {
    const same = 'balancers: [in2, in1], servers: [web2]';
    expect(
      await said(service(`api: {vip: {boot: 10.77.0.120}, port: 25, forward: dsr, ${same}}`)),
    ).toEqual([
      expect.stringMatching(
        /10\.77\.0\.120, the VIP of service letters, is also the VIP of service api with port tcp 25 .*another port, or another VIP/,
      ),
    ]);
  });

  test('that are the address of a node', async () => {
    expect(await said(api('10.77.0.11'))).toEqual([
      expect.stringMatching(
        /10\.77\.0\.11, the VIP of service api, is also the address of node web1/,
      ),
    ]);
  });

  test('on a network where a balancer has no link', async () => {
    const www: Edit = ['site.yaml', 'balancers: {tag: edge}', 'balancers: [lv1, in1]'];
    const problems = await said(www);
    expect(problems[0]).toBe(
      'site.yaml services.www.vip.out-side balancer in1 of www has no link on out-side, which has a VIP of it | add out-side: to links in nodes/in1.yaml',
    );
  });
});

describe('servers', () => {
  test('of dsr outside the subnet of the VIP', async () => {
    expect(await said(['site.yaml', 'servers: [web1, web2]', 'servers: [web1, sorry]'])).toEqual([
      'site.yaml services.direct.servers sorry has no link on out-side: dsr reaches only servers on the network of the VIP | add out-side: to links in nodes/sorry.yaml, or write forward: nat',
    ]);
  });

  test('of nat where no inside VIP is: their answers would not come back', async () => {
    expect(
      await said(['site.yaml', 'inside: {boot: 10.77.0.100}', 'inside: {out-side: 203.0.113.100}']),
    ).toEqual([
      'site.yaml services.www.sorry sorry has no link on out-side, where the inside VIP of www is: its answers would not come back | add out-side: to links in nodes/sorry.yaml, or an inside VIP on one of its networks',
    ]);
  });

  test('of nat without an inside VIP at all', async () => {
    const problems = await said(['site.yaml', '    inside: {boot: 10.77.0.100}\n', '']);
    expect(problems).toEqual([
      expect.stringMatching(/service www has no inside \| nat answers return by an inside VIP/),
    ]);
  });

  test('of a service that nobody serves', async () => {
    expect(await said(['site.yaml', 'servers: {role: web}', 'servers: {role: cache}'])).toEqual([
      expect.stringMatching(/no node has role cache \| roles that nodes have: /),
    ]);
  });

  test('that would balance it too', async () => {
    expect(await said(['site.yaml', 'servers: [web1, web2]', 'servers: [web1, lv1]'])).toEqual([
      expect.stringMatching(
        /^site\.yaml services\.direct\.servers lv1 would balance direct and serve it/,
      ),
    ]);
  });

  test('that one port of one address would have to answer by two ways', async () => {
    const other = 'inside: {boot: 10.77.0.130}, balancers: [in1, in2], servers: [web1]';
    expect(
      await said(service(`api: {vip: {boot: 10.77.0.131}, port: 80, forward: nat, ${other}}`)),
    ).toEqual([
      'site.yaml services.www.inside answers of web1 from tcp port 80 cannot go back by 10.77.0.100: for api they go by 10.77.0.130 | let both services share balancers and inside VIP, or serve them on two ports or networks',
    ]);
  });

  test('that say sorry and serve, and weights of those that do not', async () => {
    expect(
      await said(['site.yaml', 'sorry: sorry', 'sorry: web1'], ['site.yaml', 'web2: 0', 'in1: 2']),
    ).toEqual([
      expect.stringContaining('services.www.sorry web1 serves www already'),
      expect.stringContaining('services.www.weights.in1 in1 does not serve www'),
    ]);
  });
});

describe('balancers', () => {
  test('without the role', async () => {
    expect(await said(['site.yaml', 'balancers: [in1, in2]', 'balancers: [in1, sorry]'])).toEqual(
      expect.arrayContaining([
        'site.yaml services.base.balancers sorry balances base and has not the role lb | rolecall node set-role sorry lb, or choose others',
      ]),
    );
  });

  test('that speak VRRP in two ways', async () => {
    expect(await said(['nodes/in2.yaml', 'vrrp: unicast', 'vrrp: multicast'])).toEqual([
      'nodes/in2.yaml params.lb.vrrp in2 speaks VRRP by multicast, and in1, which shares VIPs with it, by unicast | write it once, under roles: in site.yaml',
    ]);
  });
});
