import { closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { AppError } from '../errors.ts';
import { createDiskSync } from './disk-sync.ts';
import { migrations } from './schema.ts';
import { isWriteRefused } from './write-watch.ts';

/** A value that a column holds. */
type Column = string | number | null;
export type Row = Readonly<Record<string, Column>>;

/** The one door to the embedded database; nothing outside this folder speaks SQL. */
export interface Database {
  /** Runs a statement; gives back how many rows it changed. */
  run(sql: string, ...values: readonly Column[]): number;
  get(sql: string, ...values: readonly Column[]): Row | undefined;
  all(sql: string, ...values: readonly Column[]): readonly Row[];
  /** Runs `work` as one transaction: all of it is on disk when this returns, or none of it. */
  transaction<T>(work: () => T): T;
  /**
   * Runs `work` as one transaction that nobody waits for: all of it is written when this returns, or none of it,
   * and until the next `sync` has resolved a machine that loses power may forget it.
   */
  write<T>(work: () => T): T;
  /** Resolves when all that was written so far is on disk; meanwhile the process goes on. */
  sync(): Promise<void>;
  /** Puts a log of writes that has grown into the tables, and waits for the disk: for a moment in which nobody asks. */
  checkpoint(): void;
  /** Writes a few bytes, as `write` does, and has them put on disk; `onRefused` hears where that fails later. */
  touch(): void;
  close(): void;
}

/** Bytes of the log of writes below which a checkpoint is not worth its waiting for the disk. */
const worthCheckpoint = 4 * 1024 * 1024;

// SQLite result codes, https://sqlite.org/rescode.html
const busy = 5;
const readOnly = 8;
const inputOutput = 10;
const corrupt = 11;
const full = 13;
const notADatabase = 26;

/**
 * Opens the database at `path` for this process alone and brings its schema up to date.
 * A commit is on disk when it returns (WAL, synchronous=FULL), but for those of `write`. The lock is the kernel's: it ends with the process.
 * Refuses a file that another process has open, one that is damaged, and one from a newer version.
 * `onRefused` is told whenever the disk takes nothing.
 */
export function openDatabase(
  path: string,
  onRefused: (error: AppError) => void = () => {},
): Database {
  let sqlite: DatabaseSync | undefined;
  try {
    sqlite = new DatabaseSync(path, { timeout: 250 });
    prepare(sqlite, path);
    return wrap(sqlite, path, onRefused);
  } catch (error) {
    if (sqlite?.isOpen) sqlite.close();
    throw explain(error, path);
  }
}

function prepare(sqlite: DatabaseSync, path: string): void {
  // Set before the first read, WAL then works without shared memory and the lock is held until close.
  sqlite.exec('PRAGMA locking_mode=EXCLUSIVE');
  sqlite.exec('PRAGMA journal_mode=WAL');
  sqlite.exec('PRAGMA synchronous=FULL');
  // A checkpoint holds everything up while it waits for the disk, some twenty milliseconds in which a hall of machines
  // asks: it comes when that is over, or after 128 MiB.
  sqlite.exec('PRAGMA wal_autocheckpoint=32768');
  sqlite.exec('PRAGMA foreign_keys=ON');
  sqlite.exec('BEGIN EXCLUSIVE; COMMIT');
  const health = sqlite.prepare('PRAGMA quick_check(1)').get()?.quick_check;
  if (health !== 'ok') throw damaged(path, String(health));
  const version = Number(sqlite.prepare('PRAGMA user_version').get()?.user_version ?? 0);
  if (version > migrations.length) {
    throw new AppError(
      'state-too-new',
      `${path} was written by a newer rolecall (its schema is ${version}, this one knows ${migrations.length})`,
      'start the newer version, or give another folder with --state',
    );
  }
  migrations.slice(version).forEach((step, index) => {
    sqlite.exec(`BEGIN; ${step} PRAGMA user_version=${version + index + 1}; COMMIT;`);
  });
}

function wrap(sqlite: DatabaseSync, path: string, onRefused: (error: AppError) => void): Database {
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();
  const statement = (sql: string) => {
    const known = statements.get(sql) ?? sqlite.prepare(sql);
    statements.set(sql, known);
    return known;
  };
  // What a commit in WAL mode waits for is this file alone (https://sqlite.org/wal.html).
  const log = createDiskSync(`${path}-wal`);
  let depth = 0;

  function explained(error: unknown): unknown {
    const refusal = writeRefusal(error, path);
    if (refusal) onRefused(refusal);
    return refusal ?? error;
  }

  function transaction<T>(work: () => T): T {
    if (depth > 0) return work();
    depth += 1;
    try {
      sqlite.exec('BEGIN IMMEDIATE');
      const value = work();
      sqlite.exec('COMMIT');
      return value;
    } catch (error) {
      if (sqlite.isTransaction) sqlite.exec('ROLLBACK');
      throw explained(error);
    } finally {
      depth -= 1;
    }
  }

  function write<T>(work: () => T): T {
    // A checkpoint still waits for the disk, so that the log is there before the tables (synchronous=NORMAL).
    if (depth === 0) sqlite.exec('PRAGMA synchronous=NORMAL');
    try {
      return transaction(work);
    } finally {
      if (depth === 0) sqlite.exec('PRAGMA synchronous=FULL');
    }
  }

  const sync = () =>
    log.sync().catch((error) => {
      throw explained(error);
    });

  return {
    run: (sql, ...values) => {
      try {
        return Number(statement(sql).run(...values).changes);
      } catch (error) {
        throw explained(error);
      }
    },
    get: (sql, ...values) => statement(sql).get(...values) as Row | undefined,
    all: (sql, ...values) => statement(sql).all(...values) as Row[],
    transaction,
    write,
    checkpoint() {
      if (statSync(`${path}-wal`).size < worthCheckpoint) return;
      try {
        sqlite.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      } catch (error) {
        throw explained(error);
      }
    },
    touch() {
      // The version as it is: SQLite writes the page that holds it all the same.
      write(() => sqlite.exec(`PRAGMA user_version=${migrations.length}`));
      sync().catch(() => {});
    },
    sync,
    close() {
      log.close();
      if (sqlite.isOpen) sqlite.close();
    },
  };
}

/** What a disk that takes nothing is called, with its name; undefined for any other error. */
function writeRefusal(error: unknown, path: string): AppError | undefined {
  if (error instanceof AppError) {
    return error.code === 'disk-full' || error.code === 'disk-refuses' ? error : undefined;
  }
  // Of the sync, which is none of SQLite's.
  if (isWriteRefused(error)) return diskRefuses(path, error);
  switch (primaryCode(error)) {
    case full:
      return diskFull(path, error);
    case readOnly:
    case inputOutput:
      return diskRefuses(path, error);
    default:
      return undefined;
  }
}

/** SQLite keeps the system's reason to itself; a file beside the database meets the same. */
function diskRefuses(path: string, cause: unknown): AppError {
  const folder = dirname(path);
  const beside = `${path}.try`;
  let code = '';
  try {
    const file = openSync(beside, 'w', 0o600);
    writeSync(file, 'x');
    closeSync(file);
    rmSync(beside);
  } catch (error) {
    code = (error as NodeJS.ErrnoException).code ?? '';
  }
  if (code === 'ENOSPC') return diskFull(path, cause);
  const [why, hint] =
    code === 'EROFS'
      ? [
          'its file system is read-only',
          `Linux makes it so after an error of the disk: journalctl -k says which; then mount -o remount,rw $(findmnt -no TARGET -T ${folder})`,
        ]
      : code === 'EDQUOT'
        ? ['its user has no quota left', `quota -s, for the owner of ${folder}`]
        : [(cause as Error).message, 'journalctl -k says what the disk has'];
  return new AppError('disk-refuses', `${path} cannot be written: ${why}`, hint, { cause });
}

function diskFull(path: string, cause: unknown): AppError {
  return new AppError(
    'disk-full',
    `${path} cannot be written: its disk is full`,
    `make room: df -h ${dirname(path)} shows how much there is`,
    { cause },
  );
}

/** SQLite's result code without its details; undefined where the error is none of SQLite's. */
function primaryCode(error: unknown): number | undefined {
  const code = (error as { errcode?: number }).errcode;
  // The low byte is the primary result code.
  return code === undefined ? undefined : code & 0xff;
}

function explain(error: unknown, path: string): unknown {
  if (error instanceof AppError) return error;
  const primary = primaryCode(error);
  if (primary === undefined) return error;
  if (primary === full) return diskFull(path, error);
  if (primary === busy) {
    return new AppError(
      'state-in-use',
      `another rolecall has ${path} open`,
      'stop it first, or give this one a folder of its own: rolecall --state DIR …',
      { cause: error },
    );
  }
  if (primary === corrupt || primary === notADatabase) {
    return damaged(path, (error as Error).message, error);
  }
  return new AppError(
    'state-unreadable',
    `${path} cannot be opened: ${(error as Error).message}`,
    'check the folder, its owner and the free space; or give another one with --state',
    { cause: error },
  );
}

function damaged(path: string, detail: string, cause?: unknown): AppError {
  return new AppError(
    'state-corrupt',
    `${path} is damaged: ${detail}`,
    `move it aside and start again: mv ${path} ${path}.damaged. Lost are pool leases, boots under way and history; nodes that run go on running`,
    { cause },
  );
}
