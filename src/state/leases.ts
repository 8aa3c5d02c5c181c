import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';

/** An address of the pool, given to a machine that no role file names. */
export interface Lease {
  readonly mac: MacAddress;
  readonly address: Ipv4;
  /** Milliseconds since the epoch; an expired lease is kept, so that its machine finds the same address again. */
  readonly expires: number;
  /** When the machine first took this address, milliseconds since the epoch. */
  readonly boundAt: number;
}

/** The leases as a decision sees them. One lease per MAC, and one per address. */
export interface LeaseView {
  of(mac: MacAddress): Lease | undefined;
  at(address: Ipv4): Lease | undefined;
}

/** The leases in memory. */
export interface LeaseTable extends LeaseView {
  /** A lease that another machine had on this address ends. */
  put(lease: Lease): void;
  delete(mac: MacAddress): void;
  size(): number;
  /** Each lease as it is when its turn comes; those that are made meanwhile come last. */
  all(): Iterator<Lease>;
  /** Calls back with each address whose lease is made, changed or ended. */
  watch(changed: (address: Ipv4) => void): void;
}

/** Where leases outlive the server: a change is on disk when it returns (RFC 2131 §3.1.4 wants it before the acknowledgement). */
export interface LeaseStore extends LeaseTable {
  /** Changes that are seen at once and written together. */
  batch(): LeaseBatch;
  /** Resolves when all batches that were committed so far are on disk; fails where the disk does. */
  sync(): Promise<void>;
}

export interface LeaseBatch extends Pick<LeaseTable, 'put' | 'delete'> {
  /**
   * All of them are written when it returns, and on disk after the next `sync`; where it throws none is,
   * and none is seen any more.
   */
  commit(): void;
}

/** An empty table. */
export function createLeaseTable(): LeaseTable {
  const byMac = new Map<MacAddress, Lease>();
  const byAddress = new Map<Ipv4, Lease>();
  const watchers: ((address: Ipv4) => void)[] = [];

  return {
    of: (mac) => byMac.get(mac),
    at: (address) => byAddress.get(address),
    put(lease) {
      const former = byMac.get(lease.mac);
      const isMoved = former !== undefined && former.address !== lease.address;
      if (isMoved) byAddress.delete(former.address);
      const evicted = byAddress.get(lease.address);
      if (evicted && evicted.mac !== lease.mac) byMac.delete(evicted.mac);
      byMac.set(lease.mac, lease);
      byAddress.set(lease.address, lease);
      for (const changed of watchers) {
        if (isMoved) changed(former.address);
        changed(lease.address);
      }
    },
    delete(mac) {
      const lease = byMac.get(mac);
      if (!lease) return;
      byMac.delete(mac);
      byAddress.delete(lease.address);
      for (const changed of watchers) changed(lease.address);
    },
    size: () => byMac.size,
    all: () => byMac.values(),
    watch: (changed) => void watchers.push(changed),
  };
}

/**
 * Changes of `table` that `write` puts on disk together: it is given each machine that they concern,
 * with its lease now. Where it throws they are taken back.
 */
export function createLeaseBatch(
  table: LeaseTable,
  write: (changed: ReadonlyMap<MacAddress, Lease | undefined>) => void,
): LeaseBatch {
  const before = new Map<MacAddress, Lease | undefined>();
  const remember = (mac: MacAddress | undefined) => {
    if (mac !== undefined && !before.has(mac)) before.set(mac, table.of(mac));
  };
  return {
    put(lease) {
      remember(lease.mac);
      remember(table.at(lease.address)?.mac);
      table.put(lease);
    },
    delete(mac) {
      remember(mac);
      table.delete(mac);
    },
    commit() {
      try {
        write(new Map([...before.keys()].map((mac) => [mac, table.of(mac)])));
      } catch (error) {
        for (const mac of before.keys()) table.delete(mac);
        for (const lease of before.values()) if (lease) table.put(lease);
        throw error;
      } finally {
        before.clear();
      }
    },
  };
}
