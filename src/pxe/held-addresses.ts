import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';

/** An address of the pool that is spoken for without a lease: offered to a machine, or declined by one. */
export interface Hold {
  /** The machine it was offered to; absent where nobody may have it. */
  readonly mac?: MacAddress;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** Held addresses, in memory only: a restart forgets them, and a client then asks again. */
export interface HeldAddresses {
  readonly byAddress: ReadonlyMap<Ipv4, Hold>;
  /** Holds an address; a machine's earlier hold ends, and so does the oldest beyond the limit. */
  hold(address: Ipv4, hold: Hold): void;
  /** Ends what is held for the machine. */
  release(mac: MacAddress): void;
}

/** An empty table of at most `limit` addresses, so that a flood of DISCOVERs cannot fill the memory. */
export function createHeldAddresses(limit = 4096): HeldAddresses {
  const byAddress = new Map<Ipv4, Hold>();
  const byMac = new Map<MacAddress, Ipv4>();

  function drop(address: Ipv4): void {
    const mac = byAddress.get(address)?.mac;
    if (mac !== undefined) byMac.delete(mac);
    byAddress.delete(address);
  }

  function release(mac: MacAddress): void {
    const address = byMac.get(mac);
    if (address !== undefined) drop(address);
  }

  return {
    byAddress,
    hold(address, hold) {
      if (hold.mac !== undefined) release(hold.mac);
      drop(address);
      const oldest = byAddress.keys().next().value;
      if (byAddress.size >= limit && oldest !== undefined) drop(oldest);
      byAddress.set(address, hold);
      if (hold.mac !== undefined) byMac.set(hold.mac, address);
    },
    release,
  };
}
