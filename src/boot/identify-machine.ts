import { type MacAddress, parseMac } from '../net/mac.ts';
import type { Site, SiteNode } from '../site/site.ts';
import { meansPort, type SwitchPort } from './switch-port.ts';

/** What a machine says of itself. */
export interface MachineIdentity {
  readonly mac: MacAddress;
  /** Lower case with dashes. */
  readonly uuid?: string;
  readonly serial?: string;
  /** Where its card is plugged in. */
  readonly port?: SwitchPort;
}

/** Who a machine is, and by what it was known. */
export type Machine =
  | {
      readonly kind: 'node';
      readonly node: SiteNode;
      readonly by: 'mac' | 'uuid' | 'serial' | 'port';
    }
  | { readonly kind: 'spare'; readonly name: string }
  | { readonly kind: 'ignore'; readonly reason: string }
  | { readonly kind: 'conflict'; readonly names: readonly string[]; readonly reason: string };

/** The name of a machine that no role file names. */
export function spareName(mac: MacAddress): string {
  return `spare-${mac.replaceAll(':', '')}`;
}

/** The machine whose name this is while no role file names it; undefined where it is no such name. */
export function spareMac(name: string): MacAddress | undefined {
  return parseMac(/^spare-([0-9a-f]{12})$/.exec(name)?.[1] ?? '');
}

/**
 * Which node a machine is. A MAC is the most specific, then UUID, serial number, switch port;
 * the first that some role file names decides. A less specific one that names another node is a conflict.
 */
export function identifyMachine(site: Site, identity: MachineIdentity): Machine {
  const index = indexOf(site);
  const { mac, uuid, serial, port } = identity;
  const claims: { by: 'mac' | 'uuid' | 'serial' | 'port'; node: SiteNode }[] = [];
  const claim = (by: 'mac' | 'uuid' | 'serial' | 'port', nodes: readonly SiteNode[] = []) => {
    for (const node of nodes) claims.push({ by, node });
  };
  claim('mac', index.macs.get(mac));
  if (uuid) claim('uuid', index.uuids.get(uuid));
  if (serial) claim('serial', index.serials.get(serial));
  if (port) {
    const means = ({ id }: SiteNode) => id.port !== undefined && meansPort(id.port, port);
    claim('port', index.atPorts.filter(means));
  }
  const first = claims[0];
  if (!first) {
    return site.unknown === 'spare'
      ? { kind: 'spare', name: spareName(identity.mac) }
      : {
          kind: 'ignore',
          reason: 'no role file names this machine and site.yaml says unknown: ignore',
        };
  }
  const names = [...new Set(claims.map((c) => c.node.name))];
  if (names.length > 1) {
    return {
      kind: 'conflict',
      names,
      reason: claims.map((c) => `its ${c.by} is in nodes/${c.node.name}.yaml`).join(', '),
    };
  }
  return { kind: 'node', node: first.node, by: first.by };
}

/** Nodes by what names them in their role files. */
interface NodeIndex {
  readonly macs: ReadonlyMap<MacAddress, readonly SiteNode[]>;
  readonly uuids: ReadonlyMap<string, readonly SiteNode[]>;
  readonly serials: ReadonlyMap<string, readonly SiteNode[]>;
  readonly atPorts: readonly SiteNode[];
}

/** A site never changes: what is read anew is another one. */
const indexes = new WeakMap<Site, NodeIndex>();

function indexOf(site: Site): NodeIndex {
  const known = indexes.get(site);
  if (known) return known;
  const nodes = [...site.nodes.values()];
  const by = <Key>(keysOf: (node: SiteNode) => readonly Key[]) => {
    const found = new Map<Key, SiteNode[]>();
    for (const node of nodes) {
      for (const key of new Set(keysOf(node))) found.set(key, [...(found.get(key) ?? []), node]);
    }
    return found;
  };
  const one = (value: string | undefined) => (value === undefined ? [] : [value]);
  const made = {
    macs: by(({ id }) => id.macs),
    uuids: by(({ id }) => one(id.uuid)),
    serials: by(({ id }) => one(id.serial)),
    atPorts: nodes.filter(({ id }) => id.port !== undefined),
  };
  indexes.set(site, made);
  return made;
}
