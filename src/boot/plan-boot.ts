import { type Cidr, cidrContains, type Ipv4 } from '../net/ipv4.ts';
import { spareNode } from '../roles/fleet.ts';
import { bootLink, isBootNetwork, type Network, type Site, type SiteNode } from '../site/site.ts';
import { identifyMachine, type MachineIdentity } from './identify-machine.ts';

/** Where a machine's address comes from and what goes with it. */
export interface BootAddress {
  readonly address: Ipv4;
  readonly subnet: Cidr;
  readonly gateway?: Ipv4;
}

/** What a machine boots, and why; every door of the server asks here, so none can say otherwise. */
export type BootPlan =
  | {
      readonly kind: 'boot';
      readonly node: SiteNode;
      /** By what the machine was known; `unnamed` where no role file names it. */
      readonly by: 'mac' | 'uuid' | 'serial' | 'port' | 'unnamed';
      /** Absent for a machine whose address only its lease knows. */
      readonly address?: BootAddress;
    }
  | { readonly kind: 'refuse'; readonly reason: string };

/**
 * What this machine boots. `leased` is the address of its lease from a pool, where it has one.
 * Refuses a machine that the site ignores, and one that two role files claim.
 */
export function planBoot(site: Site, identity: MachineIdentity, leased?: Ipv4): BootPlan {
  const machine = identifyMachine(site, identity);
  switch (machine.kind) {
    case 'ignore':
    case 'conflict':
      return { kind: 'refuse', reason: machine.reason };
    case 'spare': {
      const network = leased && bootNetworkOf(site, leased);
      return {
        kind: 'boot',
        node: spareNode(machine.name, identity.mac),
        by: 'unnamed',
        ...(leased && network ? { address: addressIn(network, leased) } : {}),
      };
    }
    case 'node': {
      const link = bootLink(site, machine.node);
      const network = link && site.networks.get(link.network);
      return {
        kind: 'boot',
        node: machine.node,
        by: machine.by,
        ...(link && network ? { address: addressIn(network, link.address) } : {}),
      };
    }
  }
}

function bootNetworkOf(site: Site, address: Ipv4): Network | undefined {
  return [...site.networks.values()].find(
    (network) => isBootNetwork(network) && cidrContains(network.subnet, address),
  );
}

function addressIn(network: Network, address: Ipv4): BootAddress {
  return {
    address,
    subnet: network.subnet,
    ...(network.gateway === undefined ? {} : { gateway: network.gateway }),
  };
}
