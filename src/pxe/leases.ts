import { type Ipv4, ipv4FromNumber, ipv4ToNumber } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import type { Network } from '../site/site.ts';
import type { Lease } from '../state/leases.ts';
import type { Hold } from './held-addresses.ts';

/** Seconds for which a machine has its address; the pool's leases end then, a node's address never changes. */
export const leaseSeconds = 12 * 60 * 60;

/** Milliseconds for which an offer holds its address: firmware takes up to a minute to answer. */
export const offerHold = 60_000;

/** Milliseconds for which a declined address is given to nobody. */
export const declineHold = 60 * 60_000;

/**
 * The lease of a machine that was heard of now, for twelve hours more; undefined where it has over half of
 * its time left. For a spare, which uses its address without asking DHCP again.
 */
export function prolongLease(lease: Lease, now: number): Lease | undefined {
  const expires = now + leaseSeconds * 1000;
  return expires - lease.expires > (leaseSeconds * 1000) / 2 ? { ...lease, expires } : undefined;
}

/** What the pool looks like at this moment. */
export interface PoolFacts {
  readonly pool: NonNullable<Network['pool']>;
  /** Addresses that the site gives to nodes, services and gateways. */
  readonly reserved: ReadonlySet<Ipv4>;
  readonly leases: readonly Lease[];
  readonly holds: ReadonlyMap<Ipv4, Hold>;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export type PoolChoice =
  | {
      readonly kind: 'address';
      readonly address: Ipv4;
      /** The machine's own lease on this address, where it has one, expired or not. */
      readonly lease?: Lease;
      /** The machine whose expired lease this address ends. */
      readonly evicts?: MacAddress;
    }
  | { readonly kind: 'full'; readonly reason: string };

/**
 * Which address of the pool this machine gets: the one of its lease (expired or not), of its offer,
 * the one it asks for where free, the lowest that nobody had, else that of the lease that expired first.
 */
export function chooseAddress(facts: PoolFacts, mac: MacAddress, requested?: Ipv4): PoolChoice {
  const { pool, leases, holds, now } = facts;
  const first = ipv4ToNumber(pool.first);
  const last = ipv4ToNumber(pool.last);
  const holder = new Map(leases.map((lease) => [lease.address, lease]));

  const isOpen = (address: Ipv4) => {
    const number = ipv4ToNumber(address);
    if (number < first || number > last || facts.reserved.has(address)) return false;
    const hold = holds.get(address);
    return hold === undefined || hold.until <= now || hold.mac === mac;
  };
  const isFree = (address: Ipv4) => isOpen(address) && (holder.get(address)?.mac ?? mac) === mac;

  const own = leases.find((lease) => lease.mac === mac);
  if (own && isOpen(own.address)) return { kind: 'address', address: own.address, lease: own };
  for (const [address, hold] of holds) {
    if (hold.mac === mac && hold.until > now && isFree(address))
      return { kind: 'address', address };
  }
  if (requested !== undefined && isFree(requested)) return { kind: 'address', address: requested };
  for (let number = first; number <= last; number += 1) {
    const address = ipv4FromNumber(number);
    if (isFree(address)) return { kind: 'address', address };
  }
  const [oldest] = leases
    .filter((lease) => lease.expires <= now && isOpen(lease.address))
    .sort((a, b) => a.expires - b.expires || (a.mac < b.mac ? -1 : 1));
  if (oldest) return { kind: 'address', address: oldest.address, evicts: oldest.mac };
  return {
    kind: 'full',
    reason: `all ${last - first + 1} addresses of the pool ${pool.first}-${pool.last} are in use`,
  };
}
