import type { Ipv4 } from '../net/ipv4.ts';
import {
  type HealthCheckHow,
  type Selector,
  type Service,
  type Site,
  selectNodes,
} from '../site/site.ts';
import type { ProofGroup } from './result.ts';

/** What a client says to a port to learn whether somebody serves it. */
export type Ask = 'http' | 'tls' | 'greeting' | 'connect';

/** One address and port that clients of a network use. */
export interface Target {
  readonly service: string;
  readonly network: string;
  readonly address: Ipv4;
  readonly port: number;
  readonly ask: Ask;
}

/** Nodes that stand in for one another, and what clients must still have when one of them is gone. */
export interface Pair {
  readonly kind: 'balancers' | 'servers';
  readonly nodes: readonly string[];
  /** Names of the services. */
  readonly services: readonly string[];
  readonly targets: readonly Target[];
}

/** A volume that is made, and one of its clients where one is there. */
export interface VolumeToMake {
  readonly name: string;
  readonly nodes: readonly string[];
  readonly client?: string;
  /** Where clients have it. */
  readonly at: string;
}

/** A volume to which its client writes. */
export type VolumeProof = VolumeToMake & { readonly client: string };

/** Nodes that hold volumes together. */
export interface Holders {
  readonly nodes: readonly string[];
  readonly volumes: readonly VolumeProof[];
}

/** Where a mail is handed in, and where its reader finds it. */
export interface MailProof {
  readonly service: string;
  readonly network: string;
  readonly address: Ipv4;
  /** IMAP with TLS from the first byte on 993, by STARTTLS on 143. */
  readonly readPort: 993 | 143;
}

/** What a rehearsal does, in order. */
export interface RehearsalPlan {
  readonly boots: readonly { readonly node: string; readonly roles: readonly string[] }[];
  /** What is made while the machines boot: all of which the pair is there, which is not ready before. */
  readonly volumes: readonly VolumeToMake[];
  readonly targets: readonly Target[];
  readonly mails: readonly MailProof[];
  readonly losses: readonly Pair[];
  /** What is lost last: those whose clients all the others are. */
  readonly holders: readonly Holders[];
  /** What it leaves out, and why. */
  readonly untried: readonly Untried[];
}

export interface Untried {
  readonly group: ProofGroup;
  readonly title: string;
  readonly reason: string;
}

/** What servers of a port say or do first; all others are only connected to. */
const asks: Readonly<Record<number, Ask>> = {
  22: 'greeting',
  25: 'greeting',
  80: 'http',
  110: 'greeting',
  143: 'greeting',
  443: 'tls',
  465: 'tls',
  587: 'greeting',
  636: 'tls',
  853: 'tls',
  993: 'tls',
  995: 'tls',
  8080: 'http',
};

/** What the health check says of servers whose port says nothing. */
const asksByCheck: Readonly<Partial<Record<HealthCheckHow['kind'], Ask>>> = {
  http: 'http',
  https: 'tls',
  smtp: 'greeting',
};

/**
 * The proofs of a site of which the nodes `running` are there, and the nodes `left` should be: that each
 * boots into its roles, that each service answers on each of its addresses, and that it still does when one
 * node of each pair is gone.
 */
export function planRehearsal(
  site: Site,
  running: ReadonlySet<string>,
  left: readonly string[] = [],
): RehearsalPlan {
  const untried: Untried[] = left.map((node) => ({
    group: 'node',
    title: `${node} boots`,
    reason: 'this machine has no memory for it',
  }));
  const boots = [...site.nodes.values()]
    .filter((node) => running.has(node.name))
    .map((node) => ({ node: node.name, roles: node.roles }));
  const services = [...site.services.values()].filter((service) => {
    const reason = whyNotTried(site, service, running);
    if (reason !== '') untried.push({ group: 'service', title: `service ${service.name}`, reason });
    return reason === '';
  });
  const losses: Pair[] = [];
  for (const kind of ['balancers', 'servers'] as const) {
    for (const { nodes, members } of groupByNodes(site, services, kind)) {
      const there = nodes.filter((node) => running.has(node));
      const names = members.map((service) => service.name);
      if (there.length > 1) {
        const targets = members.flatMap(targetsOf);
        losses.push({ kind, nodes: there, services: names, targets });
        continue;
      }
      const alone =
        nodes.length === 1 ? 'there is one alone' : `of ${nodes.join(', ')} one alone is started`;
      const title = `loss of one of the ${kind} of ${names.join(', ')}`;
      untried.push({ group: 'loss', title, reason: alone });
    }
  }
  const volumes = volumesToMake(site, running);
  const written = volumes.flatMap((volume): readonly VolumeProof[] => {
    const { client } = volume;
    return client === undefined ? [] : [{ ...volume, client }];
  });
  for (const { name, nodes } of site.volumes.values()) {
    if (written.some((volume) => volume.name === name)) continue;
    const missing = nodes.filter((node) => !running.has(node));
    const reason =
      missing.length > 0 ? `not started: ${missing.join(', ')}` : 'none of its clients is started';
    const title = missing.length > 0 ? `volume ${name}` : `writes to the volume ${name}`;
    untried.push({ group: 'volume', title, reason });
  }
  const mails = services.flatMap((service) => mailsOf(site, service));
  const mute = services.filter(
    (service) => servesMail(site, service) && mailsOf(site, service).length === 0,
  );
  for (const { name } of mute) {
    const reason = 'mail needs port 25, and 993 or 143 to be read';
    untried.push({ group: 'mail', title: `a mail to ${name}`, reason });
  }
  return {
    boots,
    volumes,
    targets: services.flatMap(targetsOf),
    mails,
    losses,
    holders: groupHolders(written),
    untried,
  };
}

/** The volumes of which the pair is there, with a client where one is. */
export function volumesToMake(site: Site, there: ReadonlySet<string>): readonly VolumeToMake[] {
  return [...site.volumes.values()]
    .filter(({ nodes }) => nodes.every((node) => there.has(node)))
    .map(({ name, nodes, clients, at }) => {
      const client = selectNodes(site, clients).find((node) => there.has(node));
      return { name, nodes, at, ...(client === undefined ? {} : { client }) };
    });
}

/** Volumes by the nodes that hold them, whoever of these leads. */
function groupHolders(volumes: readonly VolumeProof[]): readonly Holders[] {
  const groups = new Map<string, { nodes: readonly string[]; volumes: VolumeProof[] }>();
  for (const volume of volumes) {
    const { nodes } = volume;
    const key = [...nodes].sort().join();
    const group = groups.get(key) ?? { nodes, volumes: [] };
    group.volumes.push(volume);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** The role whose nodes take mail in and let it be read. */
const mailRole = 'mail';

function servesMail(site: Site, { servers }: Service): boolean {
  return selectNodes(site, servers).every((name) => {
    return site.nodes.get(name)?.roles.includes(mailRole);
  });
}

function mailsOf(site: Site, service: Service): readonly MailProof[] {
  const readPort = ([993, 143] as const).find((port) => service.ports.includes(port));
  if (readPort === undefined || !service.ports.includes(25) || !servesMail(site, service)) {
    return [];
  }
  return [...service.vip].map(([network, address]) => {
    return { service: service.name, network, address, readPort };
  });
}

function whyNotTried(site: Site, service: Service, running: ReadonlySet<string>): string {
  if (service.protocol === 'udp')
    return 'a client cannot tell whether anybody hears a UDP datagram';
  for (const kind of ['balancers', 'servers'] as const) {
    const nodes = selectNodes(site, service[kind]);
    if (!nodes.some((node) => running.has(node))) {
      return nodes.length === 0
        ? `it has no ${kind}`
        : `none of its ${kind} is started: ${nodes.join(', ')}`;
    }
  }
  return '';
}

/** Services by the nodes that balance them, or serve them: what is lost together is lost once. */
function groupByNodes(
  site: Site,
  services: readonly Service[],
  kind: 'balancers' | 'servers',
): readonly { readonly nodes: readonly string[]; readonly members: readonly Service[] }[] {
  const groups = new Map<string, { nodes: readonly string[]; members: Service[] }>();
  for (const service of services) {
    const nodes = selectNodes(site, service[kind]);
    const group = groups.get(nodes.join()) ?? { nodes, members: [] };
    group.members.push(service);
    groups.set(nodes.join(), group);
  }
  return [...groups.values()];
}

function targetsOf(service: Service): readonly Target[] {
  return [...service.vip].flatMap(([network, address]) =>
    service.ports.map((port) => ({
      service: service.name,
      network,
      address,
      port,
      ask: asks[port] ?? asksByCheck[service.check.how.kind] ?? 'connect',
    })),
  );
}

/** `www at 203.0.113.80:80`. */
export function nameTarget({ service, address, port }: Target): string {
  return `${service} at ${address}:${port}`;
}

/** The holders of what the servers of a service mount: without them it may have nothing to serve. */
function storageOf(site: Site, service: Service): readonly Selector[] {
  const servers = selectNodes(site, service.servers);
  return [...site.volumes.values()]
    .filter(({ clients }) => selectNodes(site, clients).some((node) => servers.includes(node)))
    .map(({ nodes }) => ({ kind: 'names', names: nodes }));
}

/**
 * The nodes that names of nodes, services, volumes and roles mean: a service with its balancers,
 * servers and their storage, a volume with its pair and its clients. `unknown` has the names that mean nothing.
 */
export function choosePart(
  site: Site,
  names: readonly string[],
): { readonly nodes: ReadonlySet<string>; readonly unknown: readonly string[] } {
  const nodes = new Set<string>();
  const unknown: string[] = [];
  for (const name of names) {
    const service = site.services.get(name);
    const volume = site.volumes.get(name);
    const selectors: Selector[] = [
      { kind: 'role', role: name },
      ...(site.nodes.has(name) ? [{ kind: 'names', names: [name] } as const] : []),
      ...(service ? [service.balancers, service.servers, ...storageOf(site, service)] : []),
      ...(volume ? [{ kind: 'names', names: volume.nodes } as const, volume.clients] : []),
    ];
    const meant = selectors.flatMap((selector) => selectNodes(site, selector));
    if (meant.length === 0) unknown.push(name);
    for (const node of meant) nodes.add(node);
  }
  return { nodes, unknown };
}
