import type { Database } from './database.ts';
import type { Event } from './event.ts';
import { createLastMachines } from './last-machines.ts';

/** How much of the past is kept. */
export interface EventLimits {
  /** Newest events kept of each machine, and up to a tenth more on disk. */
  readonly perMachine: number;
  /** Milliseconds. */
  readonly maxAge: number;
  /** Newest events kept of all machines, and up to a tenth more: made-up MAC addresses cannot fill the disk. */
  readonly total: number;
}

/** An event with its place in the log; ids only ever grow. */
export interface LoggedEvent {
  readonly id: number;
  readonly event: Event;
}

export interface EventQuery {
  /** Only of this MAC. */
  readonly machine?: string;
  /** Milliseconds since the epoch; only events at or after it. */
  readonly since?: number;
  /** The newest this many, oldest of them first; 1000 by default. */
  readonly limit?: number;
}

/**
 * The events on disk. They are added at the end, which changes few pages; the index that finds a machine's changes a
 * page for nearly each event, and is written later, for many at once, by `settle`. What it does not have yet is read
 * through.
 */
export interface EventTable {
  /** Writes all of them, or throws and writes none. Nobody waits for the disk. */
  add(events: readonly Event[]): void;
  /** Events that no index has yet, or that are beyond the limits. */
  unsettled(): number;
  /** Brings up to `most` events into the index and lets go of as many that are beyond the limits. */
  settle(most: number): void;
  list(query: EventQuery): readonly LoggedEvent[];
  all(): Iterable<Event>;
  /** The id of the newest one; 0 where there never was one. */
  lastId(): number;
  /** Deletes what the limits no longer keep; `now` in milliseconds since the epoch. */
  prune(now: number): void;
}

/** Opens the events of the database, within limits. */
export function openEventTable(database: Database, limits: EventLimits): EventTable {
  const count = (sql: string, ...values: readonly number[]) =>
    Number(database.get(sql, ...values)?.n ?? 0);
  let kept = count('SELECT count(*) AS n FROM events');
  let last = count("SELECT seq AS n FROM sqlite_sequence WHERE name = 'events'");
  let indexed = count(
    'SELECT id AS n FROM events NOT INDEXED WHERE indexed = 1 ORDER BY id DESC LIMIT 1',
  );
  /** Events of a machine since it was last held to its limit: that costs more than to add one. */
  const addedTo = createLastMachines<number>(8192);
  const mayAdd = Math.floor(limits.perMachine / 10);

  function index(most: number): void {
    const to = count(
      'SELECT max(id) AS n FROM (SELECT id FROM events WHERE id > ? ORDER BY id LIMIT ?)',
      indexed,
      most,
    );
    if (to === 0) {
      indexed = last;
      return;
    }
    const added = new Map<string, number>();
    for (const row of database.all(
      'SELECT machine, count(*) AS n FROM events WHERE id > ? AND id <= ? GROUP BY machine',
      indexed,
      to,
    )) {
      const machine = String(row.machine);
      added.set(machine, (addedTo.get(machine) ?? mayAdd) + Number(row.n));
    }
    let dropped = 0;
    database.write(() => {
      database.run('UPDATE events SET indexed = 1 WHERE id > ? AND id <= ?', indexed, to);
      for (const [machine, events] of added) {
        if (events <= mayAdd) continue;
        dropped += database.run(
          `DELETE FROM events WHERE machine = ? AND indexed = 1 AND id <= (
             SELECT id FROM events WHERE machine = ? AND indexed = 1
             ORDER BY id DESC LIMIT 1 OFFSET ?)`,
          machine,
          machine,
          limits.perMachine,
        );
      }
    });
    for (const [machine, events] of added) addedTo.set(machine, events > mayAdd ? 0 : events);
    kept -= dropped;
    indexed = to;
  }

  /** How many went. */
  function dropOldest(events: number): number {
    return database.write(() =>
      database.run(
        'DELETE FROM events WHERE id <= (SELECT id FROM events ORDER BY id LIMIT 1 OFFSET ?)',
        events - 1,
      ),
    );
  }

  function settle(most: number): void {
    if (last > indexed) index(most);
    if (kept > limits.total) kept -= dropOldest(Math.min(most, kept - limits.total));
  }

  return {
    add(events) {
      let id = last;
      const beyond = kept + events.length - limits.total;
      const dropped = database.write(() => {
        for (const event of events) {
          id += 1;
          database.run(
            'INSERT INTO events (id, at, machine, body, indexed) VALUES (?, ?, ?, ?, 0)',
            id,
            event.at,
            event.machine,
            JSON.stringify(event),
          );
        }
        return beyond > limits.total / 10 ? dropOldest(Math.min(beyond, 2 * events.length)) : 0;
      });
      last = id;
      kept += events.length - dropped;
    },
    unsettled: () => Math.max(last - indexed, kept - limits.total, 0),
    settle,
    list({ machine, since = 0, limit = 1000 }) {
      const newest = (most: number, condition: string, ...values: readonly (string | number)[]) =>
        database.all(
          `SELECT id, body FROM events WHERE ${condition} AND at >= ? ORDER BY id DESC LIMIT ?`,
          ...values,
          since,
          most,
        );
      let rows: ReturnType<Database['all']>;
      if (machine === undefined) rows = newest(limit, 'id > 0');
      else {
        const most = Math.min(limit, limits.perMachine);
        rows = newest(most, 'id > ? AND machine = ?', indexed, machine);
        rows = rows.concat(newest(most - rows.length, 'machine = ? AND indexed = 1', machine));
      }
      return rows
        .map((row) => ({ id: Number(row.id), event: JSON.parse(String(row.body)) as Event }))
        .reverse();
    },
    *all() {
      for (const row of database.all('SELECT body FROM events ORDER BY id')) {
        yield JSON.parse(String(row.body)) as Event;
      }
    },
    lastId: () => last,
    prune(now) {
      kept -= database.run('DELETE FROM events WHERE at < ?', now - limits.maxAge);
      if (kept > limits.total) kept -= dropOldest(kept - limits.total);
    },
  };
}
