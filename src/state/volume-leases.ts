import { afterRestart, freeLease, type Lease } from '../volumes/lease.ts';
import type { Database, Row } from './database.ts';

/** Who may lead each volume; what matters of it outlives the server. */
export interface VolumeLeases {
  of(volume: string): Lease;
  /** Keeps a lease; where `isDurable` it is on disk when this returns. */
  put(volume: string, lease: Lease, isDurable: boolean): void;
}

/** Opens the leases of the database at `now`, milliseconds of a clock that only goes forward. */
export function openVolumeLeases(database: Database, now: number): VolumeLeases {
  const leases = new Map(
    database
      .all('SELECT * FROM volume_leases')
      .map((row) => [String(row.volume), afterRestart(toLease(row), now)] as const),
  );
  return {
    of: (volume) => leases.get(volume) ?? freeLease,
    put(volume, lease, isDurable) {
      if (isDurable) write(database, volume, lease);
      leases.set(volume, lease);
    },
  };
}

/** When a lease ends is not kept: the next server's clock is another. */
function write(database: Database, volume: string, lease: Lease): void {
  const { holder, outdated, releasedBy } = lease;
  database.run(
    `INSERT INTO volume_leases
       (volume, holder_node, holder_boot, outdated_node, outdated_boot, outdated_at, released_by)
     VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (volume) DO UPDATE SET
       holder_node = excluded.holder_node, holder_boot = excluded.holder_boot,
       outdated_node = excluded.outdated_node, outdated_boot = excluded.outdated_boot,
       outdated_at = excluded.outdated_at, released_by = excluded.released_by`,
    volume,
    holder?.node ?? null,
    holder?.bootId ?? null,
    outdated?.node ?? null,
    outdated?.bootId ?? null,
    outdated?.at ?? null,
    releasedBy ?? null,
  );
}

function toLease(row: Row): Lease {
  const { holder_node: node, holder_boot: bootId, outdated_node: stale } = row;
  return {
    until: 0,
    ...(typeof node === 'string' ? { holder: { node, bootId: String(bootId) } } : {}),
    ...(typeof stale === 'string'
      ? {
          outdated: {
            node: stale,
            bootId: String(row.outdated_boot),
            at: Number(row.outdated_at),
          },
        }
      : {}),
    ...(typeof row.released_by === 'string' ? { releasedBy: row.released_by } : {}),
  };
}
