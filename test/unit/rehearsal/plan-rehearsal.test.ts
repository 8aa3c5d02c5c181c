import { describe, expect, it } from 'vitest';
import { freeAddress } from '../../../src/rehearsal/client-address.ts';
import { choosePart, planRehearsal } from '../../../src/rehearsal/plan-rehearsal.ts';
import { parseSite } from '../../../src/site/parse-site.ts';

const siteYaml = `
site: tokyo
domain: tokyo.example
admins: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJDqR3W2M8BGYYGlFiRkaqiJ2vJ9QmL0CE9OF5yH13/3 nobody@lab.example]
networks:
  boot: {subnet: 10.77.0.0/24, server: 10.77.0.1, dhcp: server, pool: 10.77.0.200-10.77.0.253}
  outside: {subnet: 203.0.113.0/24, gateway: 203.0.113.1}
unknown: ignore
services:
  www:
    vip: {outside: 203.0.113.80}
    port: [80, 443]
    forward: nat
    inside: {boot: 10.77.0.100}
    scheduler: wlc
    balancers: {role: lb}
    servers: {role: web}
  static:
    vip: {outside: 203.0.113.81}
    port: 80
    forward: dsr
    scheduler: rr
    balancers: {role: lb}
    servers: {role: web}
  mail:
    vip: {outside: 203.0.113.25}
    port: [25, 993, 2000]
    forward: dsr
    scheduler: rr
    balancers: {role: lb}
    servers: {role: mail}
volumes:
  www: {nodes: [nfs1, nfs2], device: /dev/vdb, replication: outside, vip: {boot: 10.77.0.110}, clients: {role: web}, at: /srv/www}
  mail: {nodes: [nfs2, nfs1], device: /dev/vdc, replication: outside, vip: {boot: 10.77.0.111}, clients: {role: mail}, at: /srv/mail}
`;

function nodeYaml(role: string, number: number): string {
  const address = 10 + number;
  return `role: ${role}
links:
  boot: {nic: 52:54:00:77:01:${address}, address: 10.77.0.${address}}
  outside: {nic: 52:54:00:77:02:${address}, address: 203.0.113.${address}, gateway: true}
`;
}

const roles = {
  ...{ lb1: 'lb', lb2: 'lb', mail1: 'mail' },
  ...{ nfs1: 'storage', nfs2: 'storage', web1: 'web', web2: 'web' },
};
const names = Object.keys(roles);
const parsed = parseSite(
  new Map([
    ['site.yaml', siteYaml],
    ...Object.entries(roles).map(
      ([name, role], i) => [`nodes/${name}.yaml`, nodeYaml(role, i)] as const,
    ),
  ]),
);
if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
const site = parsed.value;

describe('what a rehearsal proves', () => {
  const plan = planRehearsal(site, new Set(names));

  it('each node boots into its roles', () => {
    expect(plan.boots).toEqual(
      names.map((node) => ({ node, roles: [site.nodes.get(node)?.roles[0]] })),
    );
  });

  it('each port of each service answers in the way of its protocol', () => {
    expect(plan.targets.map((t) => `${t.service} ${t.address}:${t.port} ${t.ask}`)).toEqual([
      'www 203.0.113.80:80 http',
      'www 203.0.113.80:443 tls',
      'static 203.0.113.81:80 http',
      'mail 203.0.113.25:25 greeting',
      'mail 203.0.113.25:993 tls',
      'mail 203.0.113.25:2000 connect',
    ]);
  });

  it('one node of each pair is lost once for all services that it is for', () => {
    expect(plan.losses.map(({ kind, nodes, services }) => ({ kind, nodes, services }))).toEqual([
      { kind: 'balancers', nodes: ['lb1', 'lb2'], services: ['www', 'static', 'mail'] },
      { kind: 'servers', nodes: ['web1', 'web2'], services: ['www', 'static'] },
    ]);
  });

  it('each volume is made and written to by a client, and each pair that holds some is lost once', () => {
    expect(plan.volumes.map(({ name, client, at }) => [name, client, at])).toEqual([
      ['www', 'web1', '/srv/www'],
      ['mail', 'mail1', '/srv/mail'],
    ]);
    expect(plan.holders.map((pair) => [pair.nodes, pair.volumes.map((v) => v.name)])).toEqual([
      [
        ['nfs1', 'nfs2'],
        ['www', 'mail'],
      ],
    ]);
  });

  it('a mail goes in and comes out where mail servers serve', () => {
    expect(plan.mails).toEqual([
      { service: 'mail', network: 'outside', address: '203.0.113.25', readPort: 993 },
    ]);
  });

  it('what nobody can stand in for is said', () => {
    expect(plan.untried).toEqual([
      { group: 'loss', title: 'loss of one of the servers of mail', reason: 'there is one alone' },
    ]);
  });

  it('with some of the nodes, only what these serve, and the rest is said', () => {
    const part = planRehearsal(site, new Set(['lb1', 'web1', 'web2', 'nfs1', 'nfs2']), ['lb2']);
    // A pair is ready when all that it holds is made, whoever is there to write to it.
    expect(part.volumes.map(({ name, client }) => [name, client])).toEqual([
      ['www', 'web1'],
      ['mail', undefined],
    ]);
    expect(part.holders.flatMap(({ volumes }) => volumes.map(({ name }) => name))).toEqual(['www']);
    expect(part.targets.map((t) => t.service)).toEqual(['www', 'www', 'static']);
    expect(part.losses.map((pair) => pair.nodes)).toEqual([['web1', 'web2']]);
    expect(part.untried.map(({ title, reason }) => `${title}: ${reason}`)).toEqual([
      'lb2 boots: this machine has no memory for it',
      'service mail: none of its servers is started: mail1',
      'loss of one of the balancers of www, static: of lb1, lb2 one alone is started',
      'writes to the volume mail: none of its clients is started',
    ]);
    const half = planRehearsal(site, new Set(['web1', 'nfs1']));
    expect(half.volumes).toEqual([]);
    expect(half.untried.map(({ title, reason }) => `${title}: ${reason}`)).toContain(
      'volume www: not started: nfs2',
    );
  });
});

it('names of nodes, services and roles mean nodes', () => {
  const nodes = (...asked: string[]) => [...choosePart(site, asked).nodes].sort();
  expect(nodes('web1')).toEqual(['web1']);
  expect(nodes('web', 'mail1')).toEqual(['mail1', 'web1', 'web2']);
  expect(nodes('static')).toEqual(['lb1', 'lb2', 'nfs1', 'nfs2', 'web1', 'web2']);
  expect(choosePart(site, ['statik', 'web1']).unknown).toEqual(['statik']);
});

it('a client gets the highest address that nobody has', () => {
  const address = (name: string) => {
    const network = site.networks.get(name);
    return network && freeAddress(site, network);
  };
  expect(address('boot')).toBe('10.77.0.254');
  expect(address('outside')).toBe('203.0.113.254');
  const boot = site.networks.get('boot');
  const tiny = boot && { ...boot, subnet: { ...boot.subnet, prefix: 29 } };
  const full = new Map(
    [...site.nodes].map(([name, node], i) => [
      name,
      {
        ...node,
        links: node.links.map((link) => ({
          ...link,
          address: `10.77.0.${2 + i}` as typeof link.address,
        })),
      },
    ]),
  );
  expect(tiny && freeAddress({ ...site, nodes: full }, tiny)).toBeUndefined();
});
