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

/**
 * Opens the leases of the database; reads come from memory. `put` and `delete` are on disk when they return, a batch
 * after the next `sync`.
 */
export function openLeaseStore(database: Database): LeaseStore {
  const table = createLeaseTable();
  for (const row of database.all('SELECT * FROM leases ORDER BY mac')) {
    table.put({
      mac: String(row.mac) as MacAddress,
      address: String(row.address) as Ipv4,
      expires: Number(row.expires),
      boundAt: Number(row.bound_at),
    });
  }
  function keep(changed: ReadonlyMap<MacAddress, Lease | undefined>): void {
    for (const [mac, lease] of changed) {
      if (!lease) {
        database.run('DELETE FROM leases WHERE mac = ?', mac);
        continue;
      }
      database.run(
        `INSERT INTO leases (mac, address, expires, bound_at) VALUES (?, ?, ?, ?)
         ON CONFLICT (mac) DO UPDATE SET
           address = excluded.address, expires = excluded.expires, bound_at = excluded.bound_at`,
        mac,
        lease.address,
        lease.expires,
        lease.boundAt,
      );
    }
  }
  const alone = (change: (only: LeaseBatch) => void) => {
    const only = createLeaseBatch(table, (changed) => database.transaction(() => keep(changed)));
    change(only);
    only.commit();
  };
  return {
    ...table,
    batch: () => createLeaseBatch(table, (changed) => database.write(() => keep(changed))),
    sync: () => database.sync(),
    put: (lease) => alone((only) => only.put(lease)),
    delete: (mac) => alone((only) => only.delete(mac)),
  };
}
