/** Each entry brings the schema one version further; entries are only ever added. */
export const migrations: readonly string[] = [
  `CREATE TABLE events (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     at INTEGER NOT NULL,
     machine TEXT NOT NULL,
     body TEXT NOT NULL
   ) STRICT;
   CREATE INDEX events_by_machine ON events (machine, id);
   CREATE INDEX events_by_time ON events (at);
   CREATE TABLE leases (
     mac TEXT PRIMARY KEY,
     address TEXT NOT NULL,
     expires INTEGER NOT NULL,
     bound_at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE boot_sets (
     digest TEXT PRIMARY KEY,
     body TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE boots (
     boot_id TEXT PRIMARY KEY,
     machine TEXT NOT NULL,
     node TEXT NOT NULL,
     boot_set TEXT NOT NULL REFERENCES boot_sets (digest),
     token_hash TEXT NOT NULL,
     token_used_at INTEGER,
     created_at INTEGER NOT NULL,
     address TEXT NOT NULL,
     last_report_at INTEGER,
     last_stage TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX boots_by_machine ON boots (machine, created_at);`,
  `CREATE TABLE machines (
     mac TEXT PRIMARY KEY,
     known TEXT NOT NULL,
     seen_at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;`,
  `ALTER TABLE boots ADD COLUMN runs TEXT REFERENCES boot_sets (digest);
   ALTER TABLE boots ADD COLUMN offered TEXT REFERENCES boot_sets (digest);`,
  `CREATE TABLE volume_leases (
     volume TEXT PRIMARY KEY,
     holder_node TEXT,
     holder_boot TEXT,
     outdated_node TEXT,
     outdated_boot TEXT,
     outdated_at REAL,
     released_by TEXT
   ) STRICT, WITHOUT ROWID;`,
  `ALTER TABLE events ADD COLUMN indexed INTEGER NOT NULL DEFAULT 1;
   DROP INDEX events_by_machine;
   CREATE INDEX events_by_machine ON events (machine, id) WHERE indexed = 1;
   CREATE TABLE lease_changes (
     id INTEGER PRIMARY KEY,
     mac TEXT NOT NULL,
     address TEXT,
     expires INTEGER,
     bound_at INTEGER
   ) STRICT;
   INSERT INTO lease_changes (mac, address, expires, bound_at)
     SELECT mac, address, expires, bound_at FROM leases ORDER BY mac;
   DROP TABLE leases;`,
  'ALTER TABLE boots ADD COLUMN hardware TEXT;',
];
