import type { Machine } from '../boot/identify-machine.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import type { Site } from '../site/site.ts';
import type { DhcpProblem, EventBody } from '../state/event.ts';
import type { Lease, LeaseView } from '../state/leases.ts';
import type { DhcpPacket } from './dhcp-packet.ts';
import type { Hold, HoldView } from './held-addresses.ts';
import type { PoolIndex } from './pool-index.ts';
import type { Destination, DhcpPorts } from './reply-destination.ts';

/** Everything a decision rests on besides the message itself. */
export interface DhcpFacts {
  readonly site: Site;
  /** Who the client is, by the site's role files. */
  readonly machine: Machine;
  readonly serverAddress: Ipv4;
  /** `http://10.77.0.1`, with a port where it is not 80. */
  readonly httpServer: string;
  readonly leases: LeaseView;
  /** Without those whose time is over. */
  readonly holds: HoldView;
  readonly pools: PoolIndex;
  /** Whether this machine fetched our loader lately and its firmware has not asked since. */
  readonly isOurLoader: boolean;
  readonly ports: DhcpPorts;
  /** Why another machine has a better right to be this node now; absent where none has. */
  readonly rival?: string;
  /** Who asks, where it asks the boot server's port 4011 and not the DHCP port. */
  readonly bootServerAsker?: Destination;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Seconds for which an address is given; twelve hours where left out. */
  readonly leaseSeconds?: number;
}

/** What becomes of leases and offers; done in order, and on disk before the reply leaves. */
export type LeaseChange =
  | { readonly kind: 'hold'; readonly address: Ipv4; readonly hold: Hold }
  | { readonly kind: 'unhold'; readonly mac: MacAddress }
  | { readonly kind: 'put'; readonly lease: Lease }
  | { readonly kind: 'delete'; readonly mac: MacAddress };

/** The answer to one message, and why. */
export type DhcpDecision =
  | {
      readonly kind: 'reply';
      readonly packet: DhcpPacket;
      readonly maxBytes: number;
      readonly to: Destination;
      /** Node name; empty where the machine has none. */
      readonly node: string;
      readonly changes: readonly LeaseChange[];
      readonly event?: EventBody;
    }
  | {
      readonly kind: 'ignore';
      readonly reason: string;
      readonly node: string;
      readonly changes: readonly LeaseChange[];
      readonly event?: EventBody;
    };

/** Whom a decision is about: the name of its node, empty where it has none. */
interface Named {
  readonly name: string;
}

/** An ignored message that an operator should know of. */
export function refuse(
  place: Named,
  reason: string,
  changes: readonly LeaseChange[] = [],
): DhcpDecision {
  const event: EventBody = { kind: 'dhcp-refused', reason };
  return { kind: 'ignore', reason, node: place.name, changes, event };
}

/** An ignored message that tells of something wrong on the segment or with the pool. */
export function tellProblem(
  place: Named,
  problem: DhcpProblem,
  reason: string,
  changes: readonly LeaseChange[] = [],
): DhcpDecision {
  const event: EventBody = { kind: 'dhcp-problem', problem, reason };
  return { kind: 'ignore', reason, node: place.name, changes, event };
}

/** An ignored message that is part of ordinary life. */
export function silent(
  place: Named,
  reason: string,
  changes: readonly LeaseChange[] = [],
): DhcpDecision {
  return { kind: 'ignore', reason, node: place.name, changes };
}
