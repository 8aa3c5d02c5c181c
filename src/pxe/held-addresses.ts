import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import { createTimeQueue } from './time-queue.ts';

/** An address of the pool that is spoken for without a lease: offered to a machine, or declined by one. */
export interface Hold {
  /** The machine it was offered to; absent where nobody may have it. */
  readonly mac?: MacAddress;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** The held addresses as a decision sees them. */
export interface HoldView {
  at(address: Ipv4): Hold | undefined;
  /** The address that is held for the machine. */
  of(mac: MacAddress): Ipv4 | undefined;
}

/** Held addresses, in memory only: a restart forgets them, and a client then asks again. */
export interface HeldAddresses extends HoldView {
  readonly size: number;
  /** Holds an address; a machine's earlier hold ends, and so does the oldest beyond the limit. */
  hold(address: Ipv4, hold: Hold): void;
  /** Ends what is held for the machine. */
  release(mac: MacAddress): void;
  /** Ends the holds whose time is over at `now`, milliseconds since the epoch. */
  expire(now: number): void;
  /** Calls back with each address that begins or ceases to be held. */
  watch(changed: (address: Ipv4) => void): void;
}

/** An empty table of at most `limit` addresses, so that a flood of DISCOVERs cannot fill the memory. */
export function createHeldAddresses(limit = 4096): HeldAddresses {
  const byAddress = new Map<Ipv4, Hold>();
  const byMac = new Map<MacAddress, Ipv4>();
  const ends = createTimeQueue<Ipv4>();
  const watchers: ((address: Ipv4) => void)[] = [];

  function drop(address: Ipv4): void {
    const held = byAddress.get(address);
    if (!held) return;
    if (held.mac !== undefined) byMac.delete(held.mac);
    byAddress.delete(address);
    for (const changed of watchers) changed(address);
  }

  function release(mac: MacAddress): void {
    const address = byMac.get(mac);
    if (address !== undefined) drop(address);
  }

  /** Holds that ended early leave their ends behind; a machine that asks again and again leaves many. */
  function forgetOldEnds(): void {
    if (ends.size <= 2 * limit) return;
    ends.clear();
    for (const [address, { until }] of byAddress) ends.add(until, address);
  }

  return {
    get size() {
      return byAddress.size;
    },
    at: (address) => byAddress.get(address),
    of: (mac) => byMac.get(mac),
    hold(address, hold) {
      if (hold.mac !== undefined) release(hold.mac);
      drop(address);
      const oldest = byAddress.keys().next().value;
      if (byAddress.size >= limit && oldest !== undefined) drop(oldest);
      byAddress.set(address, hold);
      if (hold.mac !== undefined) byMac.set(hold.mac, address);
      forgetOldEnds();
      ends.add(hold.until, address);
      for (const changed of watchers) changed(address);
    },
    release,
    expire(now) {
      for (let end = ends.first(); end && end.at <= now; end = ends.first()) {
        ends.removeFirst();
        const held = byAddress.get(end.what);
        if (held && held.until <= now) drop(end.what);
      }
    },
    watch: (changed) => void watchers.push(changed),
  };
}
