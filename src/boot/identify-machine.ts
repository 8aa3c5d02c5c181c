import type { MacAddress } from '../net/mac.ts';
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

/**
 * Which node a machine is. A MAC is the most specific, then UUID, serial number, switch port;
 * the first that some role file names decides. A less specific one that names another node is a conflict.
 */
export function identifyMachine(site: Site, identity: MachineIdentity): Machine {
  const nodes = [...site.nodes.values()];
  const claims: { by: 'mac' | 'uuid' | 'serial' | 'port'; node: SiteNode }[] = [];
  const claim = (by: 'mac' | 'uuid' | 'serial' | 'port', wants: (n: SiteNode) => boolean) => {
    for (const node of nodes) if (wants(node)) claims.push({ by, node });
  };
  claim('mac', (n) => n.id.macs.includes(identity.mac));
  if (identity.uuid) claim('uuid', (n) => n.id.uuid === identity.uuid);
  if (identity.serial) claim('serial', (n) => n.id.serial === identity.serial);
  const { port } = identity;
  if (port) claim('port', (n) => n.id.port !== undefined && meansPort(n.id.port, port));
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
