import type { Machine } from '../boot/identify-machine.ts';
import { cidrContains, type Ipv4 } from '../net/ipv4.ts';
import { bootLink, type Link, type Network, type Site, type SiteNode } from '../site/site.ts';
import { noAddress } from './dhcp-packet.ts';
import type { DhcpClient } from './identify-client.ts';

/** Where a client stands in the site: the address that its role file names, or a place in a pool. */
export type ClientPlace =
  | {
      readonly kind: 'node';
      readonly name: string;
      readonly network: Network;
      readonly link: Link;
    }
  | {
      readonly kind: 'pool';
      readonly name: string;
      readonly network: Network;
      readonly pool: NonNullable<Network['pool']>;
    }
  | {
      /** Another DHCP server gives the address; what to load is ours to say. */
      readonly kind: 'proxy';
      readonly name: string;
      readonly network: Network;
      /** Absent for a machine that no role file names. */
      readonly link?: Link;
    }
  | {
      /** Another DHCP server gives the address, and the client loads nothing. */
      readonly kind: 'elsewhere';
      readonly name: string;
      readonly reason: string;
    }
  | {
      readonly kind: 'none';
      /** Node name; empty where no one node is meant. */
      readonly name: string;
      readonly reason: string;
    };

/** A client that has an address here. */
export type Place = Extract<ClientPlace, { kind: 'node' | 'pool' }>;

/** A client that has its address from another DHCP server. */
export type ProxyPlace = Extract<ClientPlace, { kind: 'proxy' }>;

/** Which network the client is on and how it comes by its address there, or why it gets none. */
export function placeClient(
  client: DhcpClient,
  site: Site,
  machine: Machine,
  serverAddress: Ipv4,
): ClientPlace {
  const name = machineName(machine);
  const none = (reason: string): ClientPlace => ({ kind: 'none', name, reason });
  const network = clientNetwork(client, site, serverAddress);
  if (network?.dhcp === 'proxy' && !loadsSomething(client)) {
    const reason = `it loads nothing, and network ${network.name} has another DHCP server for its address`;
    return { kind: 'elsewhere', name, reason };
  }
  if (machine.kind === 'ignore' || machine.kind === 'conflict') return none(machine.reason);
  if (!network) {
    return none(
      client.relay
        ? `it asks through the relay ${client.relay.giaddr}, and no network of site.yaml contains that`
        : `no network of site.yaml has the server ${serverAddress}`,
    );
  }
  switch (network.dhcp) {
    case 'off':
      return none(`site.yaml says dhcp: off for network ${network.name}`);
    case 'proxy': {
      if (machine.kind !== 'node') return { kind: 'proxy', name, network };
      const place = placeNode(client, machine.node, network, site);
      return place.kind === 'node' ? { kind: 'proxy', name, network, link: place.link } : place;
    }
    case 'server':
      break;
  }
  if (machine.kind === 'node') return placeNode(client, machine.node, network, site);
  if (!network.pool) {
    return none(
      `no role file names it, and network ${network.name} has no pool; write one, or: rolecall node add <name> --mac ${client.mac}`,
    );
  }
  return { kind: 'pool', name, network, pool: network.pool };
}

/** An operating system names no architecture. */
function loadsSomething(client: DhcpClient): boolean {
  return client.via !== 'os' || client.arch !== undefined;
}

function machineName(machine: Machine): string {
  switch (machine.kind) {
    case 'node':
      return machine.node.name;
    case 'spare':
      return machine.name;
    case 'ignore':
    case 'conflict':
      return '';
  }
}

/** A relay names the client's subnet; a client that has an address renews it directly from anywhere. */
function clientNetwork(client: DhcpClient, site: Site, serverAddress: Ipv4): Network | undefined {
  const first = (means: (network: Network) => boolean): Network | undefined => {
    for (const network of site.networks.values()) if (means(network)) return network;
    return undefined;
  };
  const containing = (address: Ipv4) => first((n) => cidrContains(n.subnet, address));
  if (client.relay) return containing(client.relay.link ?? client.relay.giaddr);
  const own = first((n) => n.server === serverAddress);
  if (client.ciaddr === noAddress) return own;
  const there = containing(client.ciaddr);
  return there?.dhcp === 'server' || there?.dhcp === 'proxy' ? there : own;
}

function placeNode(client: DhcpClient, node: SiteNode, network: Network, site: Site): ClientPlace {
  const { name } = node;
  const owner = node.links.find((link) => link.macs.includes(client.mac));
  const here = node.links.filter((link) => link.network === network.name);
  const link = here.find((l) => l === owner) ?? (owner ? undefined : here[0]);
  if (link) return { kind: 'node', name, network, link };
  const expected = owner ?? bootLink(site, node);
  return {
    kind: 'none',
    name,
    reason: owner
      ? `${client.mac} is the NIC of ${name} for network ${owner.network}, but it asks on ${network.name}: is it on the wrong switch?`
      : `${node.file} has no link on network ${network.name}${expected ? `, only on ${expected.network}` : ''}`,
  };
}

const reservedBySite = new WeakMap<Site, ReadonlySet<Ipv4>>();

/** Addresses that the site itself uses, so that no pool gives them away. */
export function reservedAddresses(site: Site): ReadonlySet<Ipv4> {
  const known = reservedBySite.get(site);
  if (known) return known;
  const reserved = new Set<Ipv4>();
  for (const network of site.networks.values()) {
    if (network.server) reserved.add(network.server);
    if (network.gateway) reserved.add(network.gateway);
    for (const address of network.dns) reserved.add(address);
  }
  for (const node of site.nodes.values()) for (const link of node.links) reserved.add(link.address);
  for (const service of site.services.values()) {
    for (const address of [...service.vip.values(), ...service.inside.values()]) {
      reserved.add(address);
    }
  }
  for (const volume of site.volumes.values()) {
    for (const address of volume.vip.values()) reserved.add(address);
  }
  reservedBySite.set(site, reserved);
  return reserved;
}
