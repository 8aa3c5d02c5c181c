import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import type { Database } from './database.ts';
import { createLeaseTable, type LeaseStore } from './leases.ts';

/** Opens the leases of the database; reads come from memory, a write is on disk when it returns. */
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
  const erase = (mac: MacAddress) => database.run('DELETE FROM leases WHERE mac = ?', mac);
  return {
    ...table,
    put(lease) {
      const other = table.at(lease.address);
      database.transaction(() => {
        if (other && other.mac !== lease.mac) erase(other.mac);
        database.run(
          `INSERT INTO leases (mac, address, expires, bound_at) VALUES (?, ?, ?, ?)
           ON CONFLICT (mac) DO UPDATE SET
             address = excluded.address, expires = excluded.expires, bound_at = excluded.bound_at`,
          lease.mac,
          lease.address,
          lease.expires,
          lease.boundAt,
        );
      });
      table.put(lease);
    },
    delete(mac) {
      erase(mac);
      table.delete(mac);
    },
  };
}
