import { digestOf } from '../digest.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import { type Selector, type Service, type Site, selectNodes } from '../site/site.ts';

/** Balancers that share VIPs, all of which are on one of them at any time. */
export interface BalancerGroup {
  /** `role-lb`, `tag-edge`, `lv1+lv2`; no two groups of a site have one name. */
  readonly name: string;
  /** The first is master where all start together. */
  readonly balancers: readonly string[];
  readonly services: readonly Service[];
  readonly instances: readonly VrrpInstance[];
}

/** The group on one network: one VRRP virtual router (RFC 5798). */
export interface VrrpInstance {
  /** `role-lb.outside`. */
  readonly name: string;
  readonly network: string;
  readonly vrid: number;
  readonly vips: readonly Ipv4[];
}

/**
 * The groups that a site's services make, by name. Services with the same balancers are one group. Neither
 * a node more or less nor another service changes the virtual router IDs of a group that names a role or
 * a tag.
 */
export function balancerGroups(site: Site): readonly BalancerGroup[] {
  const byNodes = new Map<string, Service[]>();
  for (const service of [...site.services.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const nodes = [...selectNodes(site, service.balancers)].sort().join('+');
    byNodes.set(nodes, [...(byNodes.get(nodes) ?? []), service]);
  }
  const groups = [...byNodes.values()].flatMap((services) => {
    const [first] = services;
    return first ? [{ name: nameOf(services), first, services }] : [];
  });
  groups.sort((a, b) => (a.name < b.name ? -1 : 1));
  const vrids = assignVrids(site, groups);
  return groups.map(({ name, first, services }) => ({
    name,
    balancers: selectNodes(site, first.balancers),
    services,
    instances: networksOf(services).map((network) => ({
      name: `${name}.${network}`,
      network,
      vrid: vrids.get(`${name}.${network}`) ?? 0,
      vips: unique(
        services.flatMap(({ vip, inside }) =>
          [vip.get(network), inside.get(network)].filter((a) => a !== undefined),
        ),
      ),
    })),
  }));
}

/** Of the names that its services have for a group: that of a role, else of a tag, whatever else comes and goes. */
function nameOf(services: readonly Service[]): string {
  const kinds = ['role', 'tag', 'names'];
  const names = services.map(({ balancers }) => ({
    kind: kinds.indexOf(balancers.kind),
    name: groupName(balancers),
  }));
  const [first] = names.sort((a, b) => a.kind - b.kind || (a.name < b.name ? -1 : 1));
  return first?.name ?? '';
}

/** A node's name has neither a plus nor an upper-case letter. */
function groupName(balancers: Selector): string {
  switch (balancers.kind) {
    case 'names':
      return balancers.names.length === 1
        ? `node+${balancers.names[0]}`
        : [...balancers.names].sort().join('+');
    case 'role':
      return `role-${balancers.role}`;
    case 'tag':
      return `tag-${balancers.tag}`;
  }
}

/** Networks on which the services have VIPs, sorted. */
function networksOf(services: readonly Service[]): readonly string[] {
  return [
    ...new Set(services.flatMap(({ vip, inside }) => [...vip.keys(), ...inside.keys()])),
  ].sort();
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}

/**
 * Virtual router IDs by instance. What the operator wrote stands; the others follow from the names of
 * site, network and group, so that two sites on one wire seldom meet. Where two of a network fall on one
 * number the later takes the next free one.
 */
function assignVrids(
  site: Site,
  groups: readonly { readonly name: string; readonly services: readonly Service[] }[],
): ReadonlyMap<string, number> {
  const vrids = new Map<string, number>();
  const taken = new Set<string>();
  const wanted = groups.flatMap(({ name, services }) =>
    networksOf(services).map((network) => ({
      instance: `${name}.${network}`,
      network,
      written: services.map((s) => s.vrid.get(network)).find((vrid) => vrid !== undefined),
    })),
  );
  const give = (instance: string, network: string, vrid: number) => {
    vrids.set(instance, vrid);
    taken.add(`${network} ${vrid}`);
  };
  for (const { instance, network, written } of wanted) {
    if (written !== undefined) give(instance, network, written);
  }
  for (const { instance, network, written } of wanted) {
    if (written !== undefined) continue;
    const digest = digestOf(`rolecall vrid ${site.name} ${instance}`);
    const start = Number.parseInt(digest.slice(0, 8), 16) % 255;
    const free = Array.from({ length: 255 }, (_, i) => ((start + i) % 255) + 1).find(
      (vrid) => !taken.has(`${network} ${vrid}`),
    );
    give(instance, network, free ?? start + 1);
  }
  return vrids;
}
