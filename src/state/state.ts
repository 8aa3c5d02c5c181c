import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../digest.ts';
import { AppError } from '../errors.ts';
import { type BootStore, openBootStore } from './boots.ts';
import { openDatabase } from './database.ts';
import type { EventLimits } from './event-table.ts';
import { defaultEventLimits, type EventLog, openEventLog } from './events.ts';
import { type KnownMachines, openKnownMachines } from './known-machines.ts';
import { openLeaseStore } from './lease-store.ts';
import type { LeaseStore } from './leases.ts';
import { type OverlayStore, openOverlayStore, overlaysOf } from './overlays.ts';
import { openVolumeLeases, type VolumeLeases } from './volume-leases.ts';
import {
  createWriteWatch,
  isWriteRefused,
  type KeptWriteWatch,
  type WriteWatch,
} from './write-watch.ts';

/** What the server remembers. Only one process has it open. */
export interface State {
  readonly events: EventLog;
  readonly leases: LeaseStore;
  readonly known: KnownMachines;
  readonly boots: BootStore;
  readonly overlays: OverlayStore;
  readonly volumeLeases: VolumeLeases;
  readonly writes: WriteWatch;
  /**
   * Forgets what is too old and no boot needs; `now` in milliseconds since the epoch. `keep` names
   * overlays that no boot has named yet, those of the generation in use.
   */
  prune(now: number, keep?: ReadonlySet<Digest>): void;
  /** Puts everything on disk, or says what a full one did not take, and lets go of the folder. */
  close(): void;
}

export interface StateOptions {
  readonly events?: EventLimits;
}

/** Milliseconds between writes of the times at which nodes last reported. */
const reportInterval = 5000;

/**
 * Opens the state folder, made (mode 0700) where it is not there.
 * Refuses one that another server has open, one that is damaged, and one that is not ours.
 */
export function openState(stateDir: string, options: StateOptions = {}): State {
  preparePrivateFolder(stateDir);
  const database = openDatabase(join(stateDir, 'rolecall.db'), (error) => writes.refused(error));
  const events = openEventLog(database, options.events ?? defaultEventLimits);
  const boots = openBootStore(database);
  const known = openKnownMachines(database);
  const overlays = openOverlayStore(overlaysOf(stateDir));
  const writes: KeptWriteWatch = createWriteWatch(() => {
    boots.flush();
    events.flush();
    database.touch();
  }, Date.now);
  const flushReports = (what: string) => {
    try {
      boots.flush();
    } catch (error) {
      // A disk that takes nothing is told of once, and these reports are of the past soon.
      if (isWriteRefused(error) && what !== 'lost') return;
      process.stderr.write(`rolecall: reports are ${what}: ${(error as Error).message}\n`);
    }
  };
  const timer = setInterval(() => {
    flushReports('not on disk yet');
    writes.look();
  }, reportInterval).unref();
  return {
    events,
    leases: openLeaseStore(database),
    known,
    boots,
    overlays,
    writes,
    volumeLeases: openVolumeLeases(database, performance.now()),
    prune(now, keep = new Set()) {
      events.prune(now);
      boots.prune(now);
      known.prune(now);
      overlays.prune(new Set([...boots.referenced(), ...keep]), now);
    },
    close() {
      clearInterval(timer);
      // Of a full disk the server says what is lost, and ends all the same: then room can be made.
      events.close();
      flushReports('lost');
      database.close();
    },
  };
}

/** The folder holds keys and tokens' hashes: nobody else may look into it. */
function preparePrivateFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!statSync(folder).isDirectory()) throw new Error('not a folder');
    chmodSync(folder, 0o700);
  } catch (error) {
    throw new AppError(
      'state-unreadable',
      `the state folder ${folder} cannot be used: ${(error as Error).message}`,
      'give a folder that you own: rolecall --state DIR …',
      { cause: error },
    );
  }
}
