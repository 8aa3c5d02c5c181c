import type { Database } from './database.ts';
import type { Event } from './event.ts';
import {
  type EventLimits,
  type EventQuery,
  type LoggedEvent,
  openEventTable,
} from './event-table.ts';
import { isWriteRefused } from './write-watch.ts';

export const defaultEventLimits: EventLimits = {
  perMachine: 500,
  maxAge: 30 * 24 * 60 * 60 * 1000,
  total: 500_000,
};

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

/** Milliseconds between looks whether the table can be settled, and between its parts. */
const settleAfter = 250;
const settleNext = 5;

/** Events that are settled in one turn of the loop: some four milliseconds. */
const settledTogether = 1024;

/** More events than this since the last look are a storm: then the table is settled later. */
const storm = 64;

/** Events that may be left unsettled in a storm: to read through so many takes some hundred milliseconds. */
const mostUnsettled = 200_000;

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
  const table = openEventTable(database, limits);
  const listeners = new Set<(event: Event) => void>();
  let pending: Event[] = [];
  let timer: NodeJS.Timeout | undefined;
  let settling: NodeJS.Timeout | undefined;
  let addedSinceLook = 0;

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    write(pending);
  }

  function write(batch: readonly Event[]): void {
    if (batch.length === 0) return;
    table.add(batch);
    pending = pending.slice(batch.length);
    addedSinceLook += batch.length;
    // What is not settled grows no further.
    if (table.unsettled() > mostUnsettled) table.settle(4 * settledTogether);
    settling ??= later(settleAfter);
  }

  /** A part of what a storm left undone, and last of all a checkpoint; while the storm goes on, nothing. */
  function settle(): void {
    const isStorm = addedSinceLook > storm;
    addedSinceLook = 0;
    try {
      settling = isStorm ? later(settleAfter) : settlePart();
    } catch (error) {
      tellNotOnDisk(error);
      settling = later(retryAfter);
    }
  }

  const later = (milliseconds: number) => setTimeout(settle, milliseconds).unref();

  function settlePart(): NodeJS.Timeout | undefined {
    if (table.unsettled() === 0) {
      database.checkpoint();
      return undefined;
    }
    table.settle(settledTogether);
    return later(settleNext);
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
    list(query = {}) {
      const { machine, since = 0, limit = 1000 } = query;
      const waiting = flushed() ? [] : pending;
      const next = table.lastId() + 1;
      const late = waiting
        .map((event, index) => ({ id: next + index, event }))
        .filter(({ event }) => event.at >= since && (!machine || event.machine === machine));
      return [...table.list(query), ...late].slice(-limit);
    },
    all() {
      flush();
      return table.all();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    prune(now) {
      flush();
      table.prune(now);
    },
    close() {
      try {
        flush();
      } catch (error) {
        const lost = pending.length === 1 ? 'one event is' : `${pending.length} events are`;
        process.stderr.write(`rolecall: ${lost} lost: ${(error as Error).message}\n`);
      }
      clearTimeout(settling);
      listeners.clear();
    },
  };
}
