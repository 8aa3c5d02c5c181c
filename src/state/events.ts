import type { Database } from './database.ts';
import type { Event } from './event.ts';
import { createLastMachines } from './last-machines.ts';
import { isWriteRefused } from './write-watch.ts';

/** How much of the past is kept. */
export interface EventLimits {
  /** Newest events kept of each machine, and up to a tenth more. */
  readonly perMachine: number;
  /** Milliseconds. */
  readonly maxAge: number;
  /** Newest events kept of all machines: made-up MAC addresses cannot fill the disk. */
  readonly total: number;
}

export const defaultEventLimits: EventLimits = {
  perMachine: 500,
  maxAge: 30 * 24 * 60 * 60 * 1000,
  total: 500_000,
};

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

/** The log of what happened to machines, bounded per machine and by age. */
export interface EventLog {
  /** Adds an event; written by the next {@link EventLog.flush}, which happens by itself soon after, and on disk then. */
  append(event: Event): void;
  /** Writes what was appended so far, in one transaction; throws where there is no room. Nobody waits for the disk. */
  flush(): void;
  list(query?: EventQuery): readonly LoggedEvent[];
  /** Every event kept, oldest first. */
  all(): Iterable<Event>;
  /** Calls `listener` with each event as it is appended; gives back what ends that. */
  subscribe(listener: (event: Event) => void): () => void;
  /** Deletes what the limits no longer keep; `now` in milliseconds since the epoch. */
  prune(now: number): void;
}

/** Milliseconds that an event may wait for others, so that a burst costs one write to disk. */
const gather = 50;

/** Events that are written in one turn of the loop; meanwhile no machine gets an answer. */
const writtenTogether = 256;

/** Milliseconds. */
const retryAfter = 5000;

/** Events that wait in memory while the disk refuses them. */
const mostPending = 10_000;

/**
 * Opens the event log. `alive` reports reach the listeners and are not kept: every ten seconds from
 * every node, they would push out what is worth reading.
 */
export function openEventLog(
  database: Database,
  limits: EventLimits,
): EventLog & { close(): void } {
  const listeners = new Set<(event: Event) => void>();
  let pending: Event[] = [];
  let timer: NodeJS.Timeout | undefined;
  let addedSincePruned = 0;
  /** Events of a machine since it was last held to its limit: that costs more than to add one. */
  const addedTo = createLastMachines<number>(8192);
  const mayAdd = Math.floor(limits.perMachine / 10);

  function dropBeyondTotal(): void {
    database.run(
      'DELETE FROM events WHERE id <= (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?)',
      limits.total,
    );
    addedSincePruned = 0;
  }

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    write(pending);
  }

  function write(batch: readonly Event[]): void {
    if (batch.length === 0) return;
    const added = new Map<string, number>();
    for (const { machine } of batch) {
      added.set(machine, (added.get(machine) ?? addedTo.get(machine) ?? mayAdd) + 1);
    }
    database.write(() => {
      for (const event of batch) {
        database.run(
          'INSERT INTO events (at, machine, body) VALUES (?, ?, ?)',
          event.at,
          event.machine,
          JSON.stringify(event),
        );
      }
      for (const [machine, count] of added) {
        if (count <= mayAdd) continue;
        database.run(
          `DELETE FROM events WHERE machine = ? AND id <= (
             SELECT id FROM events WHERE machine = ? ORDER BY id DESC LIMIT 1 OFFSET ?)`,
          machine,
          machine,
          limits.perMachine,
        );
      }
    });
    for (const [machine, count] of added) addedTo.set(machine, count > mayAdd ? 0 : count);
    pending = pending.slice(batch.length);
    addedSincePruned += batch.length;
    // A flood of made-up machines fills a disk sooner than the next pruning comes.
    if (addedSincePruned > limits.total / 10) dropBeyondTotal();
  }

  /** A full disk must not end the server: machines boot without history. */
  function flushOrRetry(): void {
    try {
      write(pending.slice(0, writtenTogether));
    } catch (error) {
      tellNotOnDisk(error);
      timer = setTimeout(flushOrRetry, retryAfter).unref();
      return;
    }
    timer = pending.length > 0 ? setTimeout(flushOrRetry).unref() : undefined;
    if (!timer) database.sync().catch(tellNotOnDisk);
  }

  function tellNotOnDisk(error: unknown): void {
    // A disk that takes nothing is told of once, by who watches it.
    if (isWriteRefused(error)) return;
    process.stderr.write(`rolecall: events are not on disk yet: ${(error as Error).message}\n`);
  }

  /** Whether all is on disk; what is not is shown all the same. */
  function flushed(): boolean {
    try {
      flush();
      return true;
    } catch (error) {
      if (isWriteRefused(error)) return false;
      throw error;
    }
  }

  return {
    append(event) {
      if (!(event.kind === 'stage' && event.stage === 'alive')) {
        pending.push(event);
        if (pending.length > mostPending) pending = pending.slice(-mostPending);
        timer ??= setTimeout(flushOrRetry, gather).unref();
      }
      for (const listener of listeners) listener(event);
    },
    flush,
    list({ machine, since = 0, limit = 1000 } = {}) {
      const waiting = flushed() ? [] : pending;
      const rows = machine
        ? database.all(
            'SELECT id, body FROM events WHERE machine = ? AND at >= ? ORDER BY id DESC LIMIT ?',
            machine,
            since,
            limit,
          )
        : database.all(
            'SELECT id, body FROM events WHERE at >= ? ORDER BY id DESC LIMIT ?',
            since,
            limit,
          );
      const logged = rows
        .map((row) => ({ id: Number(row.id), event: JSON.parse(String(row.body)) as Event }))
        .reverse();
      const next = Number(database.get('SELECT max(id) AS id FROM events')?.id ?? 0) + 1;
      const late = waiting
        .map((event, index) => ({ id: next + index, event }))
        .filter(({ event }) => event.at >= since && (!machine || event.machine === machine));
      return [...logged, ...late].slice(-limit);
    },
    *all() {
      flush();
      for (const row of database.all('SELECT body FROM events ORDER BY id')) {
        yield JSON.parse(String(row.body)) as Event;
      }
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    prune(now) {
      flush();
      database.run('DELETE FROM events WHERE at < ?', now - limits.maxAge);
      dropBeyondTotal();
    },
    close() {
      try {
        flush();
      } catch (error) {
        const lost = pending.length === 1 ? 'one event is' : `${pending.length} events are`;
        process.stderr.write(`rolecall: ${lost} lost: ${(error as Error).message}\n`);
      }
      listeners.clear();
    },
  };
}
