import { type Cidr, type Ipv4, parseCidr, parseIpv4 } from '../../../src/net/ipv4.ts';
import { type MacAddress, parseMac } from '../../../src/net/mac.ts';
import type { Link, Network, Site, SiteNode } from '../../../src/site/site.ts';

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the test itself is wrong');
  return value;
}

export const mac = (text: string): MacAddress => must(parseMac(text));
export const ip = (text: string): Ipv4 => must(parseIpv4(text));
const cidr = (text: string): Cidr => must(parseCidr(text));

export const serverAddress = ip('10.77.0.1');
export const web1Mac = mac('52:54:00:00:00:21');
export const strangerMac = mac('52:54:00:00:00:99');

/** web1 at 10.77.0.21, lb1 with a second link elsewhere, and a pool of four addresses. */
export function aDhcpSite(
  change: {
    readonly unknown?: Site['unknown'];
    readonly boot?: Partial<Network>;
    readonly pool?: 'none';
    readonly nodes?: readonly SiteNode[];
  } = {},
): Site {
  const { pool, ...boot } = network('boot', '10.77.0.0/24', change.boot);
  const networks: Network[] = [
    change.pool === 'none' || pool === undefined ? boot : { ...boot, pool },
    network('rack2', '10.78.0.0/24', {
      server: ip('10.78.0.1'),
      gateway: ip('10.78.0.254'),
      pool: { first: ip('10.78.0.200'), last: ip('10.78.0.203') },
    }),
    network('outside', '203.0.113.0/24', { dhcp: 'off' }),
  ];
  const nodes = [
    aNode('web1', [link('boot', '10.77.0.21', [web1Mac], true)]),
    aNode('lb1', [
      link('boot', '10.77.0.11', [mac('52:54:00:00:00:11'), mac('52:54:00:00:00:12')], false),
      link('outside', '203.0.113.11', [mac('52:54:00:00:00:13')], true),
    ]),
    ...(change.nodes ?? []),
  ];
  return {
    name: 'tokyo',
    domain: 'tokyo.example',
    admins: [],
    ntp: [serverAddress],
    networks: new Map(networks.map((n) => [n.name, n])),
    unknown: change.unknown ?? 'spare',
    secureBoot: false,
    images: { trust: [], publish: 'any' },
    services: new Map(),
    volumes: new Map(),
    clientClasses: new Map(),
    roleParams: new Map(),
    nodes: new Map(nodes.map((n) => [n.name, n])),
  };
}

function network(name: string, subnet: string, change: Partial<Network> = {}): Network {
  return {
    name,
    subnet: cidr(subnet),
    dns: [ip('192.0.2.53')],
    dhcp: 'server',
    ...(name === 'boot'
      ? {
          server: serverAddress,
          gateway: ip('10.77.0.254'),
          pool: { first: ip('10.77.0.200'), last: ip('10.77.0.203') },
        }
      : {}),
    ...change,
  };
}

export function link(
  onNetwork: string,
  address: string,
  macs: readonly MacAddress[],
  gateway: boolean,
): Link {
  return { network: onNetwork, macs, address: ip(address), gateway };
}

/** A node known by the MACs of its links, or by what `id` says. */
export function aNode(name: string, links: readonly Link[], id?: SiteNode['id']): SiteNode {
  return {
    name,
    file: `nodes/${name}.yaml`,
    id: id ?? { macs: links.flatMap((l) => l.macs) },
    roles: ['web'],
    tags: [],
    links,
    params: {},
    console: { device: 'ttyS0', baud: 115_200 },
    image: 'universal',
  };
}
