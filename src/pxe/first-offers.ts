import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import type { LeaseView } from '../state/leases.ts';
import type { DhcpDecision } from './dhcp-decision.ts';
import type { HoldView } from './held-addresses.ts';
import type { DhcpClient } from './identify-client.ts';

/** Messages that wait for one search: firmware asks for several ways of booting at once. */
const mostWaiting = 8;

/** Searches at once; in a boot storm machines get their offers without. */
const mostSearches = 16;

/** Addresses that are looked for on the segment before they are offered to a machine for the first time. */
export interface FirstOffers {
  /** Where the address is looked for already: calls back when that is over, and gives back true. */
  isSought(address: Ipv4, over: () => void): boolean;
  /** Calls back with the machine that has the address; gives back false where too many are sought already. */
  seek(address: Ipv4, from: Ipv4, found: (holder: MacAddress | undefined) => void): boolean;
}

export function createFirstOffers(
  whoHas: (address: Ipv4, from: Ipv4) => Promise<MacAddress | undefined>,
): FirstOffers {
  const sought = new Map<Ipv4, (() => void)[]>();
  return {
    isSought(address, over) {
      const waiting = sought.get(address);
      if (waiting && waiting.length < mostWaiting) waiting.push(over);
      return waiting !== undefined;
    },
    seek(address, from, found) {
      if (sought.size >= mostSearches) return false;
      const waiting: (() => void)[] = [];
      sought.set(address, waiting);
      void whoHas(address, from).then((holder) => {
        sought.delete(address);
        found(holder);
        for (const over of waiting) over();
      });
      return true;
    },
  };
}

/**
 * The address of the pool that this decision offers to a machine which had neither lease nor offer of it.
 * Behind a relay nobody can be asked by ARP: undefined then too.
 */
export function firstOffer(
  decision: DhcpDecision,
  client: DhcpClient,
  facts: { readonly leases: LeaseView; readonly holds: HoldView },
): Ipv4 | undefined {
  if (decision.kind !== 'reply' || client.relay !== undefined) return undefined;
  const hold = decision.changes.find((change) => change.kind === 'hold');
  if (!hold || facts.leases.of(client.mac)?.address === hold.address) return undefined;
  return facts.holds.of(client.mac) === hold.address ? undefined : hold.address;
}
