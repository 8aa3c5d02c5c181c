import type { Ipv4 } from '../net/ipv4.ts';
import type { Site } from '../site/site.ts';
import type { VmSpec } from './vm-spec.ts';

/** One Ethernet segment of the lab: a bridge inside the lab's own network namespace. */
export interface LabBridge {
  /** Interface name, at most 15 characters. */
  readonly name: string;
  /** Name of the site's network it plays. */
  readonly network: string;
  /** Prefix length of the network's addresses. */
  readonly prefix: number;
  /** The boot server's address with its prefix length, where the network has one. */
  readonly address?: string;
}

/** The cable from one network card of a guest to a bridge. */
export interface LabTap {
  readonly name: string;
  readonly bridge: string;
  readonly guest: string;
  /** Which of the guest's cards, counted from 0. */
  readonly nic: number;
}

export interface NetworkPlan {
  readonly bridges: readonly LabBridge[];
  readonly taps: readonly LabTap[];
}

/** Bridges for the site's networks and a tap for every card of every guest. */
export function planNetwork(site: Site, guests: readonly VmSpec[]): NetworkPlan {
  const bridges = [...site.networks.values()].map((network, i): LabBridge => {
    const { prefix } = network.subnet;
    const base = { name: `br${i}`, network: network.name, prefix };
    return network.server === undefined
      ? base
      : { ...base, address: addressWithPrefix(network.server, prefix) };
  });
  return { bridges, taps: planTaps(bridges, guests) };
}

/** A tap for every card of the guests; numbers go on from `first`. */
export function planTaps(
  bridges: readonly LabBridge[],
  guests: readonly VmSpec[],
  first = 0,
): readonly LabTap[] {
  return guests
    .flatMap((guest) => guest.nics.map((card, nic) => ({ guest: guest.name, card, nic })))
    .map(({ guest, card, nic }, i) => ({
      name: `tap${first + i}`,
      bridge: bridges.find((b) => b.network === card.network)?.name ?? '',
      guest,
      nic,
    }));
}

/**
 * Lines for `ip -batch -`, run inside the namespace.
 * No spanning tree and no forward delay: a port that listens for 30 s outlives a PXE ROM's patience.
 * No multicast snooping: without a querier on the segment a snooping bridge stops forwarding VRRP.
 */
export function renderIpBatch(plan: NetworkPlan): string {
  const lines = [
    'link set lo up',
    ...plan.bridges.flatMap((bridge, i) => [
      `link add name ${bridge.name} address ${bridgeMac(i)} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
      ...(bridge.address ? [`address add ${bridge.address} dev ${bridge.name}`] : []),
      `link set ${bridge.name} up`,
      // A bridge has a carrier only while a port has; like a real switch, it is there before machines are.
      // Nothing is flooded to that port, or its other end would hand in every broadcast a second time.
      `link add name up${i} type veth peer name port${i}`,
      `link set port${i} master ${bridge.name} up`,
      `link set port${i} type bridge_slave flood off mcast_flood off bcast_flood off`,
      `link set up${i} up`,
    ]),
    ...plan.taps.flatMap((tap) => [
      `tuntap add dev ${tap.name} mode tap`,
      `link set ${tap.name} master ${tap.bridge} up`,
    ]),
  ];
  return `${lines.join('\n')}\n`;
}

/**
 * A bridge without an address of its own takes the lowest of its ports', another one when a guest's cable is
 * plugged in; machines that knew the old one then reach the boot server only after their ARP entry has died.
 */
function bridgeMac(index: number): string {
  return `02:72:63:00:00:${index.toString(16).padStart(2, '0')}`;
}

function addressWithPrefix(address: Ipv4, prefix: number): string {
  return `${address}/${prefix}`;
}
