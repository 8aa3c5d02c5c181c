import type { Cidr, Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import type { ImageRules } from './parse-images.ts';

/** What the operator wrote, parsed: readonly, complete, nothing re-validates it. */
export interface Site {
  readonly name: string;
  readonly domain: string;
  /** Public keys of the admins, as lines of authorized_keys. */
  readonly admins: readonly string[];
  readonly ntp: readonly Ipv4[];
  readonly networks: ReadonlyMap<string, Network>;
  readonly unknown: 'spare' | 'ignore';
  /** Whether UEFI machines boot by what firmware with Secure Boot starts. */
  readonly secureBoot: boolean;
  readonly images: ImageRules;
  readonly services: ReadonlyMap<string, Service>;
  readonly volumes: ReadonlyMap<string, Volume>;
  /** Named lists of networks, for X-Client-Type. */
  readonly clientClasses: ReadonlyMap<string, readonly Cidr[]>;
  /** `roles:` of site.yaml: parameters for every node of a role, not yet checked against it. */
  readonly roleParams: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
  /** By name, sorted by name. */
  readonly nodes: ReadonlyMap<string, SiteNode>;
}

export interface Network {
  readonly name: string;
  readonly subnet: Cidr;
  /** The boot server's address here. */
  readonly server?: Ipv4;
  /** The network on whose boot server a relay here passes DHCP on, where there is none here. */
  readonly relay?: string;
  readonly gateway?: Ipv4;
  readonly dns: readonly Ipv4[];
  readonly dhcp: 'server' | 'proxy' | 'off';
  /** Every TFTP transfer answers from port 69, not from a port of its own. */
  readonly tftp?: 'single-port';
  /** First and last address for machines that no role file names. */
  readonly pool?: { readonly first: Ipv4; readonly last: Ipv4 };
}

/** One role file, `nodes/<name>.yaml`. */
export interface SiteNode {
  readonly name: string;
  /** Path relative to the site folder, for messages. */
  readonly file: string;
  readonly id: {
    readonly macs: readonly MacAddress[];
    /** Lower case with dashes. */
    readonly uuid?: string;
    readonly serial?: string;
    readonly port?: string;
  };
  readonly roles: readonly string[];
  readonly tags: readonly string[];
  readonly links: readonly Link[];
  /** Parameters by role, over the role's and the site's. */
  readonly params: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly console: { readonly device: string; readonly baud: number };
  readonly image: string;
  /** Whose driver of the network card the loader uses, its own or the firmware's; absent: the usual one. */
  readonly loader?: 'native' | 'firmware';
}

/** One attachment of a node to a network. */
export interface Link {
  readonly network: string;
  /** More than one only with a bond; none where `path` names the card, or where it is the one that the node boots by. */
  readonly macs: readonly MacAddress[];
  /** Where the card is plugged in, as udev's ID_PATH has it: `pci-0000:02:00.0`. */
  readonly path?: string;
  readonly bond?: 'active-backup' | '802.3ad';
  readonly address: Ipv4;
  /** Whether the default route leaves here. */
  readonly gateway: boolean;
}

/** Which nodes: a list of names, a role or a tag. */
export type Selector =
  | { readonly kind: 'names'; readonly names: readonly string[] }
  | { readonly kind: 'role'; readonly role: string }
  | { readonly kind: 'tag'; readonly tag: string };

export interface Service {
  readonly name: string;
  /** VIP by network name. */
  readonly vip: ReadonlyMap<string, Ipv4>;
  readonly ports: readonly number[];
  readonly protocol: 'tcp' | 'udp';
  readonly forward: 'nat' | 'dsr';
  /** Inside VIP by network name; only with nat. */
  readonly inside: ReadonlyMap<string, Ipv4>;
  readonly scheduler: string;
  readonly balancers: Selector;
  readonly servers: Selector;
  /** By name of a server; who is not named has 1, and who has 0 gets no new connection. */
  readonly weights: ReadonlyMap<string, number>;
  /** Seconds for which a client comes back to the server it had. */
  readonly persistence?: number;
  /** Name of the node that is asked while no server works. */
  readonly sorry?: string;
  readonly check: HealthCheck;
  /** VRRP's virtual router ID by network name, where the operator does not leave it to rolecall. */
  readonly vrid: ReadonlyMap<string, number>;
}

/** How a balancer finds out whether a server works; times in seconds. */
export interface HealthCheck {
  readonly how: HealthCheckHow;
  /** Other than the service's own. */
  readonly port?: number;
  readonly interval: number;
  readonly timeout: number;
  /** How often a failed check is repeated before the server is taken out. */
  readonly retries: number;
}

export type HealthCheckHow =
  | { readonly kind: 'tcp' | 'ping' | 'smtp' }
  | {
      readonly kind: 'http' | 'https';
      readonly path: string;
      readonly status: readonly number[];
      /** MD5 of the page, 32 hexadecimal digits. */
      readonly digest?: string;
      readonly host?: string;
    }
  /** A program of the site, by its path relative to site.yaml. */
  | { readonly kind: 'script'; readonly file: string };

export interface Volume {
  readonly name: string;
  readonly nodes: readonly [string, string];
  readonly device: string;
  /** Name of the network that carries the replication. */
  readonly replication: string;
  readonly vip: ReadonlyMap<string, Ipv4>;
  readonly clients: Selector;
  /** Mount point on the clients. */
  readonly at: string;
}

/** Names of the nodes that a selector chooses, in the site's order. */
export function selectNodes(site: Site, selector: Selector): readonly string[] {
  const all = [...site.nodes.values()];
  switch (selector.kind) {
    case 'names':
      return selector.names;
    case 'role':
      return all.filter((n) => n.roles.includes(selector.role)).map((n) => n.name);
    case 'tag':
      return all.filter((n) => n.tags.includes(selector.tag)).map((n) => n.name);
  }
}

/** Whether machines boot from this network: a boot server is on it, or a relay leads to one. */
export function isBootNetwork(network: Network | undefined): boolean {
  return network?.server !== undefined || network?.relay !== undefined;
}

/** The boot server's address as machines of the network know it; undefined where none boots from there. */
export function bootServerOf(site: Site, network: Network): Ipv4 | undefined {
  const where = network.relay === undefined ? network : site.networks.get(network.relay);
  return where?.server;
}

/** The link by which a node netboots: its first on a network where the boot server answers. */
export function bootLink(site: Site, node: SiteNode): Link | undefined {
  return node.links.find((link) => isBootNetwork(site.networks.get(link.network)));
}
