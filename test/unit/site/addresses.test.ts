import { describe, expect, test } from 'vitest';
import { type Ipv4, parseCidr, parseIpv4 } from '../../../src/net/ipv4.ts';
import { nextFreeAddress } from '../../../src/site/address-claims.ts';
import { proposeAddress, proposeName, takenAddresses } from '../../../src/site/propose-node.ts';
import type { Network } from '../../../src/site/site.ts';
import { aSite, nodeYaml } from './a-site.ts';

function ip(text: string): Ipv4 {
  const address = parseIpv4(text);
  if (!address) throw new Error(text);
  return address;
}

function network(subnet: string, pool?: readonly [string, string]): Network {
  const cidr = parseCidr(subnet);
  if (!cidr) throw new Error(subnet);
  const range = pool && { first: ip(pool[0]), last: ip(pool[1]) };
  return { name: 'n', subnet: cidr, dns: [], dhcp: 'off', ...(range ? { pool: range } : {}) };
}

describe('the next free address', () => {
  test.each([
    ['starts at the first host', network('10.0.0.0/29'), [], undefined, '10.0.0.1'],
    ['goes on after the last one', network('10.0.0.0/29'), [], '10.0.0.3', '10.0.0.4'],
    ['skips what is taken', network('10.0.0.0/29'), ['10.0.0.4'], '10.0.0.3', '10.0.0.5'],
    ['turns round at the end', network('10.0.0.0/29'), ['10.0.0.1'], '10.0.0.6', '10.0.0.2'],
    [
      'skips the pool',
      network('10.0.0.0/29', ['10.0.0.2', '10.0.0.4']),
      [],
      '10.0.0.1',
      '10.0.0.5',
    ],
    [
      'turns round past a pool at the end',
      network('10.0.0.0/29', ['10.0.0.3', '10.0.0.6']),
      [],
      '10.0.0.2',
      '10.0.0.1',
    ],
    [
      'a full network has none',
      network('10.0.0.0/30'),
      ['10.0.0.1', '10.0.0.2'],
      undefined,
      undefined,
    ],
    [
      'a network that is all pool has none',
      network('10.0.0.0/30', ['10.0.0.1', '10.0.0.2']),
      [],
      undefined,
      undefined,
    ],
    ['two ends of a line (RFC 3021)', network('10.0.0.0/31'), ['10.0.0.0'], undefined, '10.0.0.1'],
    [
      'a huge pool costs no time',
      network('10.0.0.0/8', ['10.0.0.1', '10.255.255.253']),
      [],
      undefined,
      '10.255.255.254',
    ],
    [
      'the top of all addresses',
      network('255.255.255.252/30'),
      ['255.255.255.253'],
      undefined,
      '255.255.255.254',
    ],
  ] as const)('%s', (_, net, taken, after, expected) => {
    const next = nextFreeAddress(net, new Set(taken.map(ip)), after && ip(after));
    expect(next).toBe(expected);
  });
});

describe('a new node', () => {
  test.each([
    [{}, 'web', 'web1'],
    [{ web1: nodeYaml(11), web2: nodeYaml(12) }, 'web', 'web3'],
    [{ web1: nodeYaml(11), web7: nodeYaml(12, 'mail') }, 'web', 'web8'],
    [{ web1: nodeYaml(11), 'web-old9': nodeYaml(12) }, 'web', 'web2'],
    [{ web01: nodeYaml(11), web09: nodeYaml(12) }, 'web', 'web10'],
    [{ web08: nodeYaml(11) }, 'web', 'web09'],
    [{ web1: nodeYaml(11) }, 'mail', 'mail1'],
  ])('%j, role %s: %s', (nodes, role, name) => {
    expect(proposeName(aSite(nodes), role)).toBe(name);
  });

  test('gets the address after the highest that a node has', () => {
    const site = aSite(
      { web1: nodeYaml(11), lv1: nodeYaml(21, 'lb') },
      'services:\n  www: {vip: {boot: 10.77.0.22}, port: 80, forward: dsr, balancers: [lv1], servers: [web1]}\n',
    );
    const boot = site.networks.get('boot');
    expect(boot && proposeAddress(site, boot)).toBe('10.77.0.23');
    expect([...takenAddresses(site)].sort()).toEqual([
      '10.77.0.1',
      '10.77.0.11',
      '10.77.0.21',
      '10.77.0.22',
    ]);
  });
});
