import { type Ipv4, ipv4FromNumber, ipv4ToNumber } from '../net/ipv4.ts';
import type { Network } from '../site/site.ts';
import type { Lease, LeaseTable } from '../state/leases.ts';
import type { HeldAddresses } from './held-addresses.ts';
import { createTimeQueue } from './time-queue.ts';

export type AddressPool = NonNullable<Network['pool']>;

/** What is left of one pool, found without going through it. */
export interface PoolView {
  /** Whether the address lies in the pool and is not reserved. */
  has(address: Ipv4): boolean;
  /** The lowest address that is not reserved, not held, and that no machine has or had. */
  lowestUnused(): Ipv4 | undefined;
  /** Of the leases whose address is neither reserved nor held the one that expired first; at `now` at the latest. */
  firstExpired(now: number): Lease | undefined;
}

/** What is left of each pool. */
export interface PoolIndex {
  /** `reserved` are the addresses that the site gives to nodes, services and gateways; one set for each state of the site. */
  of(pool: AddressPool, reserved: ReadonlySet<Ipv4>): PoolView;
}

/** An index over the pools of a site that follows its leases and holds; a changed site makes it anew. */
export function createPoolIndex(leases: LeaseTable, holds: HeldAddresses): PoolIndex {
  const pools = new Map<AddressPool, ReturnType<typeof indexPool>>();
  let reservedNow: ReadonlySet<Ipv4> | undefined;
  const changed = (address: Ipv4) => {
    for (const pool of pools.values()) pool.changed(address);
  };
  leases.watch(changed);
  holds.watch(changed);
  return {
    of(pool, reserved) {
      if (reserved !== reservedNow) {
        pools.clear();
        reservedNow = reserved;
      }
      const known = pools.get(pool);
      if (known) return known;
      const made = indexPool(pool, reserved, leases, holds);
      pools.set(pool, made);
      return made;
    },
  };
}

const wordBits = 32;

function indexPool(
  pool: AddressPool,
  reserved: ReadonlySet<Ipv4>,
  leases: LeaseTable,
  holds: HeldAddresses,
): PoolView & { changed(address: Ipv4): void } {
  const first = ipv4ToNumber(pool.first);
  const last = ipv4ToNumber(pool.last);
  /** A set bit is an unused address; no word before `lowest` has one. */
  const unused = new Uint32Array(Math.ceil((last - first + 1) / wordBits));
  let lowest = 0;
  /** By the end of their leases, or an earlier time, and what a change has overtaken: put right when it comes first. */
  const ends = createTimeQueue<Ipv4>();
  /** For each address the time at which it waits in that queue, 0 where it does not. */
  const waits = new Float64Array(last - first + 1);

  const isOpen = (address: Ipv4) => !reserved.has(address) && holds.at(address) === undefined;

  function note(offset: number, address: Ipv4): void {
    const word = Math.floor(offset / wordBits);
    const bit = 1 << (offset % wordBits);
    const open = isOpen(address);
    const lease = leases.at(address);
    if (open && !lease) {
      unused[word] = (unused[word] ?? 0) | bit;
      lowest = Math.min(lowest, word);
      return;
    }
    unused[word] = (unused[word] ?? 0) & ~bit;
    if (open && lease) noteEnd(offset, lease);
  }

  /** A lease that is renewed again and again stays where it is in the queue. */
  function noteEnd(offset: number, { expires, address }: Lease): void {
    const at = waits[offset] ?? 0;
    if (at !== 0 && at <= expires) return;
    waits[offset] = expires;
    ends.add(expires, address);
  }

  for (let number = first; number <= last; number += 1) {
    note(number - first, ipv4FromNumber(number));
  }
  return {
    has(address) {
      const number = ipv4ToNumber(address);
      return number >= first && number <= last && !reserved.has(address);
    },
    changed(address) {
      const number = ipv4ToNumber(address);
      if (number >= first && number <= last) note(number - first, address);
    },
    lowestUnused() {
      while (lowest < unused.length && unused[lowest] === 0) lowest += 1;
      const word = unused[lowest];
      if (word === undefined) return undefined;
      // The lowest set bit alone, then its place.
      return ipv4FromNumber(first + lowest * wordBits + 31 - Math.clz32(word & -word));
    },
    firstExpired(now) {
      for (let end = ends.first(); end && end.at <= now; end = ends.first()) {
        const offset = ipv4ToNumber(end.what) - first;
        const lease = leases.at(end.what);
        const counts = waits[offset] === end.at && lease !== undefined && isOpen(end.what);
        if (counts && lease.expires === end.at) return lease;
        ends.removeFirst();
        if (waits[offset] === end.at) waits[offset] = 0;
        if (counts) noteEnd(offset, lease);
      }
      return undefined;
    },
  };
}
