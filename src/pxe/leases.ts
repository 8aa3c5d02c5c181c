import { type Ipv4, ipv4ToNumber } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import type { Lease, LeaseView } from '../state/leases.ts';
import type { HoldView } from './held-addresses.ts';
import type { AddressPool, PoolIndex } from './pool-index.ts';

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
  readonly pool: AddressPool;
  /** Addresses that the site gives to nodes, services and gateways. */
  readonly reserved: ReadonlySet<Ipv4>;
  readonly leases: LeaseView;
  /** Without those whose time is over. */
  readonly holds: HoldView;
  readonly pools: PoolIndex;
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
  const left = facts.pools.of(pool, facts.reserved);

  const isOpen = (address: Ipv4) => {
    if (!left.has(address)) return false;
    const hold = holds.at(address);
    return hold === undefined || hold.mac === mac;
  };
  const isFree = (address: Ipv4) => isOpen(address) && (leases.at(address)?.mac ?? mac) === mac;

  const own = leases.of(mac);
  if (own && isOpen(own.address)) return { kind: 'address', address: own.address, lease: own };
  const offered = holds.of(mac);
  if (offered !== undefined && isOpen(offered)) return take(offered, leases.at(offered));
  if (requested !== undefined && isFree(requested)) return { kind: 'address', address: requested };
  const unused = left.lowestUnused();
  if (unused !== undefined) return { kind: 'address', address: unused };
  const oldest = left.firstExpired(now);
  if (oldest) return take(oldest.address, oldest);
  return {
    kind: 'full',
    reason: `all ${ipv4ToNumber(pool.last) - ipv4ToNumber(pool.first) + 1} addresses of the pool ${pool.first}-${pool.last} are in use`,
  };
}

function take(address: Ipv4, former: Lease | undefined): PoolChoice {
  return { kind: 'address', address, ...(former ? { evicts: former.mac } : {}) };
}
