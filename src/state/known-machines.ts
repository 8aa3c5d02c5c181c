import type { MachineIdentity } from '../boot/identify-machine.ts';
import { type KnownIdentity, recallIdentity } from '../boot/recall-identity.ts';
import { formatPort } from '../boot/switch-port.ts';
import type { MacAddress } from '../net/mac.ts';
import type { Database } from './database.ts';
import { isWriteRefused } from './write-watch.ts';

/** What machines said of themselves, by the MAC that they boot by. */
export interface KnownMachines {
  of(mac: MacAddress): KnownIdentity | undefined;
  /** A machine asked DHCP: kept in memory, for the last few thousand of them. */
  heard(said: MachineIdentity): void;
  /** A machine boots from here, or runs: written when this returns, on disk with its boot. */
  keep(identity: MachineIdentity, now: number): void;
  /** Forgets machines that neither booted nor ran for half a year. */
  prune(now: number): void;
}

const day = 24 * 60 * 60_000;
const forgetAfter = 180 * day;

interface Kept {
  readonly known: KnownIdentity;
  readonly seenAt: number;
}

/** Opens what the database knows of machines; `limit` bounds what is kept in memory alone. */
export function openKnownMachines(database: Database, limit = 8192): KnownMachines {
  const kept = new Map<MacAddress, Kept>();
  const fresh = new Map<MacAddress, KnownIdentity>();
  const atPort = new Map<string, MacAddress>();
  /** Machines that are not on their port any more, which is not on disk yet. */
  const unplugged = new Set<MacAddress>();
  for (const row of database.all('SELECT * FROM machines')) {
    const mac = String(row.mac) as MacAddress;
    const known = JSON.parse(String(row.known)) as KnownIdentity;
    kept.set(mac, { known, seenAt: Number(row.seen_at) });
    if (known.port) atPort.set(formatPort(known.port), mac);
  }

  function write(mac: MacAddress, known: KnownIdentity, seenAt: number): void {
    database.write(() =>
      database.run(
        `INSERT INTO machines (mac, known, seen_at) VALUES (?, ?, ?)
         ON CONFLICT (mac) DO UPDATE SET known = excluded.known, seen_at = excluded.seen_at`,
        mac,
        JSON.stringify(known),
        seenAt,
      ),
    );
    kept.set(mac, { known, seenAt });
  }

  /** Another machine is on that port now, so this one is not: it must not claim the port's node any more. */
  function unplug(mac: MacAddress): void {
    const heard = fresh.get(mac);
    if (heard) fresh.set(mac, withoutPort(heard));
    const before = kept.get(mac);
    if (!before?.known.port) return;
    kept.set(mac, { known: withoutPort(before.known), seenAt: before.seenAt });
    unplugged.add(mac);
    try {
      writeUnplugged();
    } catch (error) {
      // Who asks DHCP by the role file that names it needs no disk for its answer.
      if (!isWriteRefused(error)) throw error;
    }
  }

  function writeUnplugged(): void {
    for (const mac of unplugged) {
      const found = kept.get(mac);
      if (found) write(mac, found.known, found.seenAt);
      unplugged.delete(mac);
    }
  }

  function of(mac: MacAddress): KnownIdentity | undefined {
    const heard = fresh.get(mac);
    const before = kept.get(mac)?.known;
    if (!heard) return before;
    const { mac: _mac, ...all } = recallIdentity({ mac, ...heard }, before);
    return all;
  }

  return {
    of,
    heard(said) {
      const { mac, ...news } = said;
      if (Object.keys(news).length === 0) return;
      const { mac: _mac, ...all } = recallIdentity(said, fresh.get(mac));
      fresh.delete(mac);
      const oldest = fresh.keys().next().value;
      if (fresh.size >= limit && oldest !== undefined) drop(oldest);
      fresh.set(mac, all);
      if (!said.port) return;
      const port = formatPort(said.port);
      const before = atPort.get(port);
      if (before !== undefined && before !== mac) unplug(before);
      atPort.set(port, mac);
    },
    keep({ mac, ...known }, now) {
      writeUnplugged();
      const before = kept.get(mac);
      const isNews = JSON.stringify(before?.known) !== JSON.stringify(known);
      if (isNews || now - (before?.seenAt ?? 0) > day) write(mac, known, now);
    },
    prune(now) {
      for (const [mac, { seenAt }] of kept) {
        if (now - seenAt <= forgetAfter) continue;
        database.run('DELETE FROM machines WHERE mac = ?', mac);
        kept.delete(mac);
      }
    },
  };

  function drop(mac: MacAddress): void {
    const port = fresh.get(mac)?.port;
    fresh.delete(mac);
    if (port && atPort.get(formatPort(port)) === mac && !kept.get(mac)?.known.port) {
      atPort.delete(formatPort(port));
    }
  }
}

function withoutPort({ port: _port, ...rest }: KnownIdentity): KnownIdentity {
  return rest;
}
