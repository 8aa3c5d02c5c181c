import type { HealthCheck, Service, Site } from '../site/site.ts';
import { selectNodes } from '../site/site.ts';
import { type BalancerGroup, balancerGroups } from './balancer-groups.ts';
import { serverLink } from './service-paths.ts';

/** What a balancer does, as its keepalived.conf says it; all lists are empty for a node that is none. */
export interface TemplateBalancer {
  /** Instances that change hands together. */
  readonly groups: readonly { readonly name: string; readonly instances: readonly string[] }[];
  readonly instances: readonly TemplateInstance[];
  /** One for every VIP and port. */
  readonly virtualServers: readonly TemplateVirtualServer[];
  /** Where connections are copied to the other balancers: network and sync ID (ipvsadm(8)). */
  readonly sync: readonly { readonly network: string; readonly id: number }[];
}

export interface TemplateInstance {
  readonly name: string;
  readonly network: string;
  readonly vrid: number;
  readonly priority: number;
  /** This balancer's own address there, and the others'. */
  readonly address: string;
  readonly peers: readonly string[];
  readonly vips: readonly string[];
}

export interface TemplateVirtualServer {
  readonly service: string;
  readonly vip: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly forward: 'nat' | 'dsr';
  readonly scheduler: string;
  /** Seconds; 0 for none. */
  readonly persistence: number;
  readonly check: HealthCheck;
  readonly servers: readonly {
    readonly name: string;
    readonly address: string;
    readonly weight: number;
  }[];
  /** Address of the server that says sorry; empty where there is none. */
  readonly sorry: string;
}

/** What a node balances: its VRRP instances and virtual servers. */
export function describeBalancer(site: Site, node: string): TemplateBalancer {
  const all = balancerGroups(site);
  const groups = all.filter((group) => group.balancers.includes(node));
  const addressOf = (name: string, network: string) =>
    site.nodes.get(name)?.links.find((link) => link.network === network)?.address ?? '';
  const instances = groups.flatMap(({ balancers, instances }) =>
    instances.map(({ name, network, vrid, vips }) => ({
      name,
      network,
      vrid,
      vips,
      // RFC 5798 section 5.2.4: 1 to 254, and 100 where nobody chooses.
      priority: Math.max(1, 200 - 10 * balancers.indexOf(node)),
      address: addressOf(node, network),
      peers: balancers.filter((b) => b !== node).map((b) => addressOf(b, network)),
    })),
  );
  return {
    groups: groups.map(({ name, instances }) => ({
      name,
      instances: instances.map((instance) => instance.name),
    })),
    instances,
    virtualServers: groups.flatMap((group) =>
      group.services.flatMap((service) => virtualServers(site, service)),
    ),
    sync: syncNetwork(groups, instances),
  };
}

/**
 * One daemon of the kernel copies all connections of a node, so one network is chosen: an inside one before
 * others, as nobody proves who sent a copy.
 */
function syncNetwork(
  groups: readonly BalancerGroup[],
  instances: readonly TemplateInstance[],
): TemplateBalancer['sync'] {
  const shared = instances.filter(({ peers }) => peers.length > 0);
  const inside = new Set(groups.flatMap((g) => g.services.flatMap((s) => [...s.inside.keys()])));
  const chosen = shared.find(({ network }) => inside.has(network)) ?? shared[0];
  return chosen ? [{ network: chosen.network, id: chosen.vrid }] : [];
}

function virtualServers(site: Site, service: Service): readonly TemplateVirtualServer[] {
  const { name, protocol, forward, scheduler, persistence, check, sorry } = service;
  return [...service.vip].flatMap(([network, vip]) => {
    const addressOf = (server: string) => serverLink(site, service, server, network)?.address ?? '';
    const servers = selectNodes(site, service.servers).map((server) => ({
      name: server,
      address: addressOf(server),
      weight: service.weights.get(server) ?? 1,
    }));
    return service.ports.map((port) => ({
      service: name,
      vip,
      port,
      protocol,
      forward,
      scheduler,
      persistence: persistence ?? 0,
      check,
      servers,
      sorry: sorry === undefined ? '' : addressOf(sorry),
    }));
  });
}
