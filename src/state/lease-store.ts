import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import type { Database } from './database.ts';
import type { Lease, LeaseStore } from './leases.ts';

/** Opens the leases of the database; reads come from memory, a write is on disk when it returns. */
export function openLeaseStore(database: Database): LeaseStore {
  const leases = new Map<MacAddress, Lease>();
  for (const row of database.all('SELECT * FROM leases ORDER BY mac')) {
    const mac = String(row.mac) as MacAddress;
    leases.set(mac, {
      mac,
      address: String(row.address) as Ipv4,
      expires: Number(row.expires),
      boundAt: Number(row.bound_at),
    });
  }
  return {
    get: (mac) => leases.get(mac),
    all: () => [...leases.values()],
    put(lease) {
      database.run(
        `INSERT INTO leases (mac, address, expires, bound_at) VALUES (?, ?, ?, ?)
         ON CONFLICT (mac) DO UPDATE SET
           address = excluded.address, expires = excluded.expires, bound_at = excluded.bound_at`,
        lease.mac,
        lease.address,
        lease.expires,
        lease.boundAt,
      );
      leases.set(lease.mac, lease);
    },
    delete(mac) {
      database.run('DELETE FROM leases WHERE mac = ?', mac);
      leases.delete(mac);
    },
  };
}
