import { describe, expect, test } from 'vitest';
import { parseSite } from '../../../src/site/parse-site.ts';
import { bootLink, selectNodes } from '../../../src/site/site.ts';
import { adminKey, aSite, nodeYaml, siteYaml } from './a-site.ts';

describe('a site', () => {
  test('has defaults for all that is not written', () => {
    const site = aSite({ web1: nodeYaml(11) });
    expect(site).toMatchObject({
      name: 'tokyo',
      domain: 'tokyo.example',
      unknown: 'spare',
      secureBoot: false,
      ntp: [],
    });
    expect(site.admins).toEqual([adminKey]);
    expect(site.nodes.get('web1')).toEqual({
      name: 'web1',
      file: 'nodes/web1.yaml',
      id: { macs: ['52:54:00:00:00:0b'] },
      roles: ['web'],
      tags: [],
      links: [
        { network: 'boot', macs: ['52:54:00:00:00:0b'], address: '10.77.0.11', gateway: true },
      ],
      params: {},
      console: { device: 'ttyS0', baud: 115200 },
      image: 'universal',
    });
  });

  test("may want signed loaders for all, and a node a loader by its own or the firmware's driver", () => {
    const site = aSite({ web1: `${nodeYaml(11)}loader: firmware\n` }, 'secureBoot: true\n');
    expect(site.secureBoot).toBe(true);
    expect(site.nodes.get('web1')?.loader).toBe('firmware');
  });

  test('lists nodes by name, whatever the order of the files', () => {
    const site = aSite({ web2: nodeYaml(12), lv1: nodeYaml(9, 'lb'), web1: nodeYaml(11) });
    expect([...site.nodes.keys()]).toEqual(['lv1', 'web1', 'web2']);
  });

  test('keeps a serial number as it is written, zeros and all', () => {
    const node = (serial: string) => `id: {mac: 52:54:00:00:00:0b, serial: ${serial}}
address: 10.77.0.11
role: web
`;
    for (const serial of ['0123456', '7E5', '1_000', 'on', '0x1F', '12:30:45']) {
      expect(aSite({ web1: node(serial) }).nodes.get('web1')?.id.serial).toBe(serial);
    }
  });

  test('knows a machine by the MACs of its links where id says none', () => {
    const site = aSite({
      web1: `id: {uuid: 4C4C4544-0042-3510-8053-B4C04F4A4B32}
role: [web, logs]
tags: edge
links: {boot: {nic: [52-54-00-00-00-0B, 5254.0000.000c], bond: 802.3ad, address: 10.77.0.11}}
`,
    });
    const node = site.nodes.get('web1');
    expect(node?.id).toEqual({
      macs: ['52:54:00:00:00:0b', '52:54:00:00:00:0c'],
      uuid: '4c4c4544-0042-3510-8053-b4c04f4a4b32',
    });
    expect(node?.roles).toEqual(['web', 'logs']);
    expect(node?.tags).toEqual(['edge']);
    expect(node?.links[0]?.bond).toBe('802.3ad');
  });

  test('sends the default route where a link says so, else by the first network with a gateway', () => {
    const more =
      '  inner: {subnet: 10.88.0.0/24}\n  outside: {subnet: 203.0.113.0/24, gateway: 203.0.113.1}\n';
    const node = (gateway: string) => `role: lb
links:
  inner: {nic: 52:54:00:00:00:01, address: 10.88.0.11}
  boot: {nic: 52:54:00:00:00:02, address: 10.77.0.11}
  outside: {nic: 52:54:00:00:00:03, address: 203.0.113.11${gateway}}
`;
    const gateways = (text: string) => {
      const site = aSite({ lv1: text }, more);
      const lv1 = site.nodes.get('lv1');
      expect(lv1 && bootLink(site, lv1)?.network).toBe('boot');
      return lv1?.links.filter((link) => link.gateway).map((link) => link.network);
    };
    expect(gateways(node(''))).toEqual(['boot']);
    expect(gateways(node(', gateway: true'))).toEqual(['outside']);
  });

  test('selects nodes by name, role and tag', () => {
    const site = aSite(
      { lv1: `${nodeYaml(9, 'lb')}tags: [edge]\n`, web1: nodeYaml(11), web2: nodeYaml(12) },
      `services:
  www: {vip: {boot: 10.77.0.100}, port: 80, forward: dsr, balancers: {tag: edge}, servers: {role: web}}
  api: {vip: {boot: 10.77.0.100}, port: [81, 82], protocol: udp, forward: dsr, balancers: lv1, servers: [web2, web1]}
`,
    );
    const select = (name: string) => {
      const service = site.services.get(name);
      return service && [selectNodes(site, service.balancers), selectNodes(site, service.servers)];
    };
    expect(select('www')).toEqual([['lv1'], ['web1', 'web2']]);
    expect(select('api')).toEqual([['lv1'], ['web2', 'web1']]);
    expect(site.services.get('api')).toMatchObject({
      ports: [81, 82],
      protocol: 'udp',
      scheduler: 'wlc',
    });
  });

  test('lets balancers be the gateway of the network behind them', () => {
    const site = aSite(
      { web1: nodeYaml(11), lv1: nodeYaml(9, 'lb') },
      `  inner: {subnet: 10.88.0.0/24, gateway: 10.88.0.1}
services:
  www: {vip: {boot: 10.77.0.100}, port: 80, forward: nat, inside: {inner: 10.88.0.1}, balancers: [lv1], servers: [web1]}
`,
    );
    expect(site.services.get('www')?.inside).toEqual(new Map([['inner', '10.88.0.1']]));
  });

  test('takes the parameters of roles as they are', () => {
    const site = aSite(
      { web1: `${nodeYaml(11)}params: {web: {list: [1, {a: null}], __proto__: {b: 1}}}\n` },
      'roles:\n  mail: {domains: {tokyo.example: {users: users/tokyo.yaml}}}\n  web:\n',
    );
    expect(site.roleParams).toEqual(
      new Map([['mail', { domains: { 'tokyo.example': { users: 'users/tokyo.yaml' } } }]]),
    );
    expect(JSON.stringify(site.nodes.get('web1')?.params)).toBe(
      '{"web":{"list":[1,{"a":null}],"__proto__":{"b":1}}}',
    );
    expect(({} as { b?: number }).b).toBeUndefined();
  });
});

test.each(['224.0.1.1', '255.255.255.255', '0.0.0.0'])('%s is no NTP server', (address) => {
  const result = parseSite(new Map([['site.yaml', siteYaml(`ntp: [${address}]\n`)]]));
  expect(result).toMatchObject({
    ok: false,
    problems: [{ file: 'site.yaml', message: `${address} is no server's address` }],
  });
});

describe('texts that are made to hurt', () => {
  const problemsOf = (text: string) => {
    const result = parseSite(
      new Map([
        ['site.yaml', siteYaml()],
        ['nodes/web1.yaml', text],
      ]),
    );
    return result.ok ? [] : result.problems.map((p) => p.message);
  };

  test.each([
    ['zero bytes', 'role: web\0\0\0\n', 'the file holds zero bytes'],
    ['brackets without end', '['.repeat(50_000), ''],
    [
      'an anchor inside itself',
      'mac: 52:54:00:00:00:0b\naddress: 10.77.0.11\nrole: web\nparams: &a {web: *a}\n',
      'web holds an alias that cannot be followed',
    ],
    [
      'aliases that multiply',
      `${nodeYaml(11)}params:\n  web:\n    a: &a [x,x,x,x,x,x,x,x,x,x]\n    b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n    c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n    d: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`,
      'web holds an alias that cannot be followed',
    ],
    ['a key that is a list', '? [role]\n: web\n', ''],
    ['a line in a key of an admin', '{', ''],
  ])('%s', (_, text, message) => {
    const messages = problemsOf(text);
    expect(messages.length).toBeGreaterThan(0);
    if (message !== '') expect(messages).toContain(message);
  });
});
