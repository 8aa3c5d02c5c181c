import { parse } from 'yaml';
import { formatCidr, netmask } from '../net/ipv4.ts';
import {
  bootServerOf,
  type HealthCheck,
  type Link,
  type Site,
  type SiteNode,
  selectNodes,
} from '../site/site.ts';
import { replicationPort, volumeNumbers } from '../volumes/volume-numbers.ts';
import { describeBalancer, type TemplateBalancer } from './describe-balancer.ts';
import { bondName } from './render-links.ts';
import type { Params } from './role-params.ts';

/**
 * Everything a template of a role sees, besides plain JavaScript. Nothing in it depends on time, place
 * or chance. Addresses and networks are text.
 */
export interface TemplateContext {
  /** The node that the file is rendered for. */
  readonly node: TemplateNode & {
    readonly console: { readonly device: string; readonly baud: number };
    /** Volumes that this node mounts as a client. */
    readonly volumes: readonly { readonly name: string; readonly at: string }[];
    /** Volumes of which this node holds a copy, and the TCP port of their replication. */
    readonly copies: readonly { readonly name: string; readonly port: number }[];
    /** What this node does as a balancer; its lists are empty where it is none. */
    readonly balancer: TemplateBalancer;
  };
  readonly site: {
    readonly name: string;
    readonly domain: string;
    /** Lines of authorized_keys. */
    readonly admins: readonly string[];
    readonly ntp: readonly string[];
    readonly networks: readonly TemplateNetwork[];
    readonly services: readonly TemplateService[];
    /** Networks by class, as `clientClasses` of site.yaml has them. */
    readonly clientClasses: readonly {
      readonly name: string;
      readonly networks: readonly string[];
    }[];
  };
  /** Parameters of each of the node's roles by role, defaults filled in. */
  readonly params: Readonly<Record<string, Params>>;
  /** Every node of the site, sorted by name. */
  readonly nodes: readonly TemplateNode[];
  /** Lines for /etc/hosts: all nodes, then the services' names, without localhost. */
  readonly hosts: readonly { readonly address: string; readonly names: readonly string[] }[];
  /** A YAML file of the site as plain values; only one that a parameter of `format: site-file` names. */
  readonly siteFile: (path: string) => unknown;
  /** Text as one word of POSIX sh. */
  readonly shellQuote: (text: string) => string;
}

export interface TemplateNode {
  readonly name: string;
  /** Name and domain; what `hostname --fqdn` answers. */
  readonly fqdn: string;
  readonly roles: readonly string[];
  readonly tags: readonly string[];
  readonly links: readonly TemplateLink[];
  /** Address of the first link; empty where DHCP gives it. */
  readonly address: string;
}

export interface TemplateLink {
  readonly network: string;
  readonly address: string;
  /** Empty where `path` names the card, or where it is the one that the node boots by. */
  readonly macs: readonly string[];
  /** Its slot, as udev's ID_PATH has it; empty where a MAC names the card. */
  readonly path: string;
  /** `10.77.0.0/24`. */
  readonly subnet: string;
  readonly prefix: number;
  readonly netmask: string;
  /** The interface that the cards are bonded into; empty where they are not. */
  readonly bond: string;
  /** The default route; empty where it does not leave here. */
  readonly gateway: string;
  readonly dns: readonly string[];
}

export interface TemplateNetwork {
  readonly name: string;
  readonly subnet: string;
  readonly prefix: number;
  readonly netmask: string;
  /** The boot server's address; empty where the network has none. */
  readonly server: string;
  readonly gateway: string;
  readonly dns: readonly string[];
}

export interface TemplateService {
  readonly name: string;
  /** VIPs by network. */
  readonly vip: Readonly<Record<string, string>>;
  readonly inside: Readonly<Record<string, string>>;
  readonly ports: readonly number[];
  readonly protocol: 'tcp' | 'udp';
  readonly forward: 'nat' | 'dsr';
  readonly scheduler: string;
  /** Seconds; 0 for none. */
  readonly persistence: number;
  readonly check: HealthCheck;
  /** Names of the nodes that serve it. */
  readonly servers: readonly string[];
  readonly balancers: readonly string[];
}

/** Text of the site's files that parameters name, by their path in the site. */
export type SiteTexts = ReadonlyMap<string, string>;

/** The context for the files of one node. */
export function createTemplateContext(
  site: Site,
  node: SiteNode,
  params: Readonly<Record<string, Params>>,
  siteTexts: SiteTexts,
): TemplateContext {
  const numbers = volumeNumbers(site.volumes.keys());
  return {
    node: {
      ...describeNode(site, node),
      console: node.console,
      volumes: [...site.volumes.values()]
        .filter((volume) => selectNodes(site, volume.clients).includes(node.name))
        .map(({ name, at }) => ({ name, at })),
      copies: [...site.volumes.values()]
        .filter((volume) => volume.nodes.includes(node.name))
        .map(({ name }) => ({ name, port: replicationPort(numbers.get(name) ?? 0) })),
      balancer: describeBalancer(site, node.name),
    },
    site: {
      name: site.name,
      domain: site.domain,
      admins: site.admins,
      ntp: site.ntp,
      networks: [...site.networks.values()].map((network) => ({
        name: network.name,
        subnet: formatCidr(network.subnet),
        prefix: network.subnet.prefix,
        netmask: netmask(network.subnet),
        server: bootServerOf(site, network) ?? '',
        gateway: network.gateway ?? '',
        dns: network.dns,
      })),
      services: [...site.services.values()].map((service) => ({
        name: service.name,
        vip: Object.fromEntries(service.vip),
        inside: Object.fromEntries(service.inside),
        ports: service.ports,
        protocol: service.protocol,
        forward: service.forward,
        scheduler: service.scheduler,
        persistence: service.persistence ?? 0,
        check: service.check,
        servers: selectNodes(site, service.servers),
        balancers: selectNodes(site, service.balancers),
      })),
      clientClasses: [...site.clientClasses].map(([name, networks]) => ({
        name,
        networks: networks.map(formatCidr),
      })),
    },
    params,
    nodes: [...site.nodes.values()].map((other) => describeNode(site, other)),
    hosts: hostLines(site),
    siteFile: (path) => readSiteFile(siteTexts, path),
    shellQuote: (text) => `'${text.replaceAll("'", `'\\''`)}'`,
  };
}

function describeNode(site: Site, node: SiteNode): TemplateNode {
  return {
    name: node.name,
    fqdn: `${node.name}.${site.domain}`,
    roles: node.roles,
    tags: node.tags,
    links: node.links.map((link) => describeLink(site, node, link)),
    address: node.links[0]?.address ?? '',
  };
}

function describeLink(site: Site, node: SiteNode, link: Link): TemplateLink {
  const network = site.networks.get(link.network);
  if (!network) throw new Error(`no network ${link.network} in the site`);
  return {
    network: link.network,
    address: link.address,
    macs: link.macs,
    path: link.path ?? '',
    subnet: formatCidr(network.subnet),
    prefix: network.subnet.prefix,
    netmask: netmask(network.subnet),
    bond: bondName(node, link),
    gateway: link.gateway ? (network.gateway ?? '') : '',
    dns: network.dns,
  };
}

/**
 * The first link's address carries the node's plain name, any other `name-network` where no node has that name; a
 * service's name stands for its inside VIP, where there is none for its VIP.
 */
function hostLines(site: Site): TemplateContext['hosts'] {
  const nodes = [...site.nodes.values()].flatMap((node) =>
    node.links.flatMap((link, i) => {
      const label = i === 0 ? node.name : `${node.name}-${link.network}`;
      if (i > 0 && site.nodes.has(label)) return [];
      return [{ address: link.address, names: [`${label}.${site.domain}`, label] }];
    }),
  );
  const services = [...site.services.values()].flatMap((service) => {
    const label = site.nodes.has(service.name) ? `${service.name}-service` : service.name;
    const vips = service.inside.size > 0 ? service.inside : service.vip;
    return [...vips.values()].map((address) => ({
      address,
      names: [`${label}.${site.domain}`, label],
    }));
  });
  return [...nodes, ...services];
}

function readSiteFile(texts: SiteTexts, path: string): unknown {
  const text = texts.get(path);
  if (text === undefined) {
    throw new Error(
      `siteFile(${JSON.stringify(path)}): no parameter of format: site-file names it`,
    );
  }
  return parse(text);
}
