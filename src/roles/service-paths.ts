import type { Ipv4 } from '../net/ipv4.ts';
import { type Link, type Service, type Site, selectNodes } from '../site/site.ts';

/** Nodes that requests of the service may reach: its servers, and the one that says sorry. */
export function reachedNodes(site: Site, service: Service): readonly string[] {
  const servers = selectNodes(site, service.servers);
  return service.sorry === undefined ? servers : [...servers, service.sorry];
}

/** The link by which a balancer reaches a server for one of the service's VIPs. */
export function serverLink(
  site: Site,
  service: Service,
  server: string,
  vipNetwork: string,
): Link | undefined {
  const links = site.nodes.get(server)?.links ?? [];
  // Direct routing changes nothing but the MAC address: the server must be on the wire of the VIP.
  if (service.forward === 'dsr') return links.find((link) => link.network === vipNetwork);
  return insideLink(site, service, server)?.link;
}

/** Where a server of a nat service meets its balancers: the first of its links with an inside VIP. */
export function insideLink(
  site: Site,
  service: Service,
  server: string,
): { readonly link: Link; readonly gateway: Ipv4 } | undefined {
  for (const link of site.nodes.get(server)?.links ?? []) {
    const gateway = service.inside.get(link.network);
    if (gateway !== undefined) return { link, gateway };
  }
  return undefined;
}
