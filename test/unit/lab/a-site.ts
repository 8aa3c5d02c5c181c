import { parseCidr, parseIpv4 } from '../../../src/net/ipv4.ts';
import { parseMac } from '../../../src/net/mac.ts';
import type { Site, SiteNode } from '../../../src/site/site.ts';

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the test itself is wrong');
  return value;
}

export const mac = (text: string) => must(parseMac(text));
export const ipv4 = (text: string) => must(parseIpv4(text));

/** A node with one card on each of the given networks. */
export function node(name: string, cards: Readonly<Record<string, string>>): SiteNode {
  return {
    name,
    file: `nodes/${name}.yaml`,
    id: { macs: Object.values(cards).map(mac) },
    roles: ['web'],
    tags: [],
    links: Object.entries(cards).map(([network, text]) => ({
      network,
      macs: [mac(text)],
      address: ipv4('10.77.0.11'),
      gateway: network === 'boot',
    })),
    params: {},
    console: { device: 'ttyS0', baud: 115_200 },
    image: 'universal',
  };
}

/** A site with a boot network and one without a boot server. */
export function siteOf(...nodes: readonly SiteNode[]): Site {
  return {
    name: 'lab',
    domain: 'lab.example',
    admins: [],
    ntp: [],
    networks: new Map([
      [
        'boot',
        {
          name: 'boot',
          subnet: must(parseCidr('10.77.0.0/24')),
          server: ipv4('10.77.0.1'),
          dns: [],
          dhcp: 'server' as const,
        },
      ],
      [
        'outside',
        {
          name: 'outside',
          subnet: must(parseCidr('203.0.113.0/24')),
          dns: [],
          dhcp: 'off' as const,
        },
      ],
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
