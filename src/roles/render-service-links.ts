import { formatCidr, type Ipv4 } from '../net/ipv4.ts';
import { type Link, type Service, type Site, type SiteNode, selectNodes } from '../site/site.ts';
import { balancerGroups } from './balancer-groups.ts';
import { type OverlayFile, rootFile } from './overlay-file.ts';
import { linkFile } from './render-links.ts';
import { insideLink, reachedNodes } from './service-paths.ts';

/**
 * What services mean for the links of a node, whatever its roles are: return routes on the servers of nat
 * services, VIPs that nobody hears of by ARP on those of dsr services, forwarding on the inside links of
 * balancers (systemd.network(5), the kernel's ip-sysctl).
 */
export function renderServiceLinks(site: Site, node: SiteNode): readonly OverlayFile[] {
  const served = [...site.services.values()].filter((service) =>
    reachedNodes(site, service).includes(node.name),
  );
  const direct = served.filter((service) => service.forward === 'dsr');
  const sections = new Map<string, string[]>();
  const add = (link: Link, text: string) =>
    sections.set(link.network, [...(sections.get(link.network) ?? []), text]);
  for (const [link, text] of returnRoutes(site, node, served)) add(link, text);
  for (const [link, text] of directRoutes(site, node, direct)) add(link, text);
  for (const link of forwardingLinks(site, node)) add(link, '[Network]\nIPv4Forwarding=yes\n');
  return [
    ...[...sections].map(([network, texts]) =>
      rootFile(`${linkFile(network)}.d/services.conf`, texts.join('\n')),
    ),
    ...directAddresses(direct),
  ];
}

/** Priorities of rules (ip-rule(8)): all before the main table's 32766. */
const priority = { direct: 900, balancers: 1000, replies: 1001 };

/** Routing tables 7001 and up, one for each way out. */
const firstTable = 7001;

/**
 * Replies of a nat service go back through the balancer that holds the inside VIP, also to a client that
 * the server could reach itself. Balancers are answered directly: the one that does not hold the VIP
 * checks the server as well.
 */
function returnRoutes(
  site: Site,
  node: SiteNode,
  served: readonly Service[],
): readonly (readonly [Link, string])[] {
  const ways = served.flatMap((service) => {
    const found = service.forward === 'nat' ? insideLink(site, service, node.name) : undefined;
    return found ? [{ ...found, service }] : [];
  });
  const gateways = unique(ways.map((way) => way.gateway));
  const tables = gateways.flatMap((gateway, i): (readonly [Link, string])[] => {
    const mine = ways.filter((way) => way.gateway === gateway);
    const [first] = mine;
    if (!first) return [];
    const { link } = first;
    const balancers = mine.flatMap(({ service }) =>
      selectNodes(site, service.balancers).flatMap((name) =>
        (site.nodes.get(name)?.links ?? [])
          .filter((other) => other.network === link.network)
          .map((other) => other.address),
      ),
    );
    const table = firstTable + i;
    const replies = unique(
      mine.flatMap(({ service }) => service.ports.map((port) => `${service.protocol} ${port}`)),
    );
    return [
      [link, section('Route', { Gateway: gateway, Table: table })],
      ...unique(balancers).map((address): readonly [Link, string] => [
        link,
        section('RoutingPolicyRule', {
          To: `${address}/32`,
          Table: 'main',
          Priority: priority.balancers,
        }),
      ]),
      ...replies.map((reply): readonly [Link, string] => {
        const [protocol = '', port = ''] = reply.split(' ');
        return [
          link,
          section('RoutingPolicyRule', {
            // A UDP socket that is bound to no address has none yet when its way is looked for.
            ...(protocol === 'tcp' ? { From: `${link.address}/32` } : {}),
            IPProtocol: protocol,
            SourcePort: port,
            Table: table,
            Priority: priority.replies,
          }),
        ];
      }),
    ];
  });
  return tables;
}

/** Replies from a VIP leave by the VIP's network, where the node's default route is another. */
function directRoutes(
  site: Site,
  node: SiteNode,
  direct: readonly Service[],
): readonly (readonly [Link, string])[] {
  return node.links.flatMap((link, i): (readonly [Link, string])[] => {
    const network = site.networks.get(link.network);
    const vips = unique(direct.flatMap(({ vip }) => vip.get(link.network) ?? []));
    if (!network?.gateway || link.gateway || vips.length === 0) return [];
    const table = firstTable + 100 + i;
    return [
      [
        link,
        section('Route', { Destination: formatCidr(network.subnet), Scope: 'link', Table: table }),
      ],
      [link, section('Route', { Gateway: network.gateway, Table: table })],
      ...vips.map((vip): readonly [Link, string] => [
        link,
        section('RoutingPolicyRule', {
          From: `${vip}/32`,
          Table: table,
          Priority: priority.direct,
        }),
      ]),
    ];
  });
}

/** A server of a dsr service takes what comes for the VIP, and leaves it to the balancers to say so. */
function directAddresses(direct: readonly Service[]): readonly OverlayFile[] {
  const vips = unique(direct.flatMap(({ vip }) => [...vip.values()]));
  if (vips.length === 0) return [];
  return [
    rootFile(
      '/etc/systemd/network/20-services.network',
      `[Match]\nName=lo\n\n[Network]\n${vips.map((vip) => `Address=${vip}/32\n`).join('')}`,
    ),
    rootFile(
      '/etc/sysctl.d/61-rolecall-services.conf',
      `# The VIPs on the loopback are neither answered for nor asked from.
net.ipv4.conf.all.arp_ignore = 1
net.ipv4.conf.all.arp_announce = 2
`,
    ),
  ];
}

/**
 * Only what comes in from servers is forwarded. Requests are the balancer's own until IP virtual server
 * sends them on, so that nothing else gets from outside to the inside.
 */
function forwardingLinks(site: Site, node: SiteNode): readonly Link[] {
  const inside = new Set(
    balancerGroups(site)
      .filter((group) => group.balancers.includes(node.name))
      .flatMap((group) => group.services.flatMap((service) => [...service.inside.keys()])),
  );
  return node.links.filter((link) => inside.has(link.network));
}

function section(name: string, values: Readonly<Record<string, Ipv4 | string | number>>): string {
  const lines = Object.entries(values).map(([key, value]) => `${key}=${value}\n`);
  return `[${name}]\n${lines.join('')}`;
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
