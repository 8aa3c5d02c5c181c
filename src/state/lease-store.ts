import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import type { Database } from './database.ts';
import {
  createLeaseBatch,
  createLeaseTable,
  type Lease,
  type LeaseBatch,
  type LeaseStore,
} from './leases.ts';

/** Rows that may be there before the outdated ones are swept out: so many for each lease, and so many for all. */
export interface MostRows {
  readonly forEach: number;
  readonly forAll: number;
}

const mostRows: MostRows = { forEach: 4, forAll: 16_384 };

/** For each change, leases that are written anew and then old rows that go, while the table is swept. */
const copiedForEach = 2;
const droppedForEach = 8;

/**
 * Opens the leases of the database; reads come from memory. `put` and `delete` are on disk when they return, a batch
 * after the next `sync`.
 *
 * On disk is each change, one after the other: so a write of fifty leases is one page or two, where a table by MAC
 * address has one for nearly each of them. Where most rows are outdated, the leases are written anew at the end and what
 * lies before goes, oldest first, a little with each change.
 */
export function openLeaseStore(database: Database, most: MostRows = mostRows): LeaseStore {
  const table = createLeaseTable();
  let first = 1;
  let last = 0;
  for (const row of database.all('SELECT * FROM lease_changes ORDER BY id')) {
    const mac = String(row.mac) as MacAddress;
    if (last === 0) first = Number(row.id);
    last = Number(row.id);
    if (row.address === null) table.delete(mac);
    else {
      table.put({
        mac,
        address: String(row.address) as Ipv4,
        expires: Number(row.expires),
        boundAt: Number(row.bound_at),
      });
    }
  }
  /** Leases that are still to be written anew, and the last row that goes when they are. */
  let sweep: { readonly left: Iterator<Lease>; isCopied: boolean; readonly to: number } | undefined;

  function append(mac: MacAddress, lease: Lease | undefined): void {
    last += 1;
    database.run(
      'INSERT INTO lease_changes (id, mac, address, expires, bound_at) VALUES (?, ?, ?, ?, ?)',
      last,
      mac,
      lease?.address ?? null,
      lease?.expires ?? null,
      lease?.boundAt ?? null,
    );
  }

  function sweepSome(changes: number): void {
    const rows = last - first + 1;
    if (!sweep && rows <= most.forAll + most.forEach * table.size()) return;
    sweep ??= { left: table.all(), isCopied: false, to: last };
    for (let n = 0; n < copiedForEach * changes && !sweep.isCopied; n += 1) {
      const { done, value } = sweep.left.next();
      if (done) sweep.isCopied = true;
      else append(value.mac, value);
    }
    if (!sweep.isCopied) return;
    const to = Math.min(sweep.to, first + droppedForEach * changes);
    database.run('DELETE FROM lease_changes WHERE id <= ?', to);
    first = to + 1;
    if (to === sweep.to) sweep = undefined;
  }

  function keep(
    changed: ReadonlyMap<MacAddress, Lease | undefined>,
    inTransaction: Database['write'],
  ): void {
    try {
      inTransaction(() => {
        for (const [mac, lease] of changed) append(mac, lease);
        sweepSome(changed.size);
      });
    } catch (error) {
      // Leases that it wrote anew are taken back with the rest.
      sweep = undefined;
      throw error;
    }
  }
  const alone = (change: (only: LeaseBatch) => void) => {
    const only = createLeaseBatch(table, (changed) => keep(changed, database.transaction));
    change(only);
    only.commit();
  };
  return {
    ...table,
    batch: () => createLeaseBatch(table, (changed) => keep(changed, database.write)),
    sync: () => database.sync(),
    put: (lease) => alone((only) => only.put(lease)),
    delete: (mac) => alone((only) => only.delete(mac)),
  };
}
