import { timingSafeEqual } from 'node:crypto';
import { type BootSet, readBootSet } from '../boot/boot-set.ts';
import { type Digest, digestOf } from '../digest.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import type { Database, Row } from './database.ts';
import type { Hardware, ReportedStage } from './event.ts';

/** One boot of one machine, from its script on. Times are milliseconds since the epoch. */
export interface BootRecord {
  /** 32 hexadecimal digits. */
  readonly bootId: string;
  readonly machine: MacAddress;
  /** The name it had when its script was sent. */
  readonly node: string;
  /** What it booted. */
  readonly set: BootSet;
  /** What it runs: the set that it booted, or the one that it followed to since. */
  readonly runs: BootSet;
  /** The set that it was told to follow to, and may be fetching; null where none. */
  readonly offered: Digest | null;
  readonly tokenHash: Digest;
  /** null until the secrets were fetched. */
  readonly tokenUsedAt: number | null;
  readonly createdAt: number;
  readonly address: Ipv4;
  /** null until the node's first report. */
  readonly lastReportAt: number | null;
  /** Empty until the node's first report. */
  readonly lastStage: ReportedStage | '';
  /** What the machine is made of; absent until it said so. */
  readonly hardware?: Hardware;
}

/** Which part of the boot's set a digest is; undefined where it is none. */
export function partOf(record: BootRecord, digest: Digest) {
  const { kernel, initramfs, root, overlay } = record.set;
  const parts = { kernel: [kernel], initramfs: [initramfs], root, overlay: [overlay] } as const;
  return (Object.keys(parts) as (keyof typeof parts)[]).find((part) =>
    parts[part].some((blob) => blob.digest === digest),
  );
}

/** What is known of a boot before its script is sent. `token` itself is not kept, only its hash. */
interface NewBoot {
  readonly bootId: string;
  readonly machine: MacAddress;
  readonly node: string;
  readonly set: BootSet;
  readonly token: string;
  readonly createdAt: number;
  readonly address: Ipv4;
}

/** Boots and their boot sets: what is needed to bring every boot that has begun to its end. */
export interface BootStore {
  /**
   * Keeps the boot and its set; on disk when this resolves, so the script may be sent. Boots that begin
   * together share one write: a rack that gets power asks for all its scripts within a second. While the disk is at
   * work the process goes on.
   */
  record(boot: NewBoot): Promise<BootRecord>;
  get(bootId: string): BootRecord | undefined;
  /** The newest boot of a machine. */
  latestOf(machine: MacAddress): BootRecord | undefined;
  /** The boot that last began with this address. */
  latestAt(address: string): BootRecord | undefined;
  /** Every boot kept, oldest first. */
  list(): readonly BootRecord[];
  /** The set of that digest, while a boot kept names it. */
  set(digest: Digest): BootSet | undefined;
  /**
   * Spends the token of a boot: `ok` once, on disk when this returns; `used` from then on;
   * `unknown` for another token or another boot.
   */
  useToken(bootId: string, token: string, now: number): 'ok' | 'used' | 'unknown';
  /** Notes a report; false for a boot that is not kept. `alive` leaves the stage as it was. */
  reported(bootId: string, stage: ReportedStage, now: number): boolean;
  /** Keeps what the machine of a boot is made of, for as long as the boot: the log of events is shorter. */
  noteHardware(bootId: string, hardware: Hardware): void;
  /**
   * Keeps a set that a running node is about to be told to follow to; on disk when this returns, so it may
   * be told.
   */
  offer(bootId: string, set: BootSet): void;
  /**
   * Notes the set that a node says it runs; false where no such set of this node is kept. It may be told of a later
   * one while it still follows to the one before.
   */
  followed(bootId: string, set: Digest): boolean;
  /** Digests of manifests, image blobs and overlays that a boot kept still names: what gc must leave. */
  referenced(): ReadonlySet<Digest>;
  /** Deletes boots not heard of for `maxAge` milliseconds, save the newest of each machine that ever reported. */
  prune(now: number, maxAge?: number): void;
}

const defaultMaxAge = 7 * 24 * 60 * 60 * 1000;

const select = `SELECT boots.*, boot_sets.body AS set_body, run_sets.body AS runs_body
  FROM boots JOIN boot_sets ON boot_sets.digest = boots.boot_set
  LEFT JOIN boot_sets AS run_sets ON run_sets.digest = boots.runs`;

/** Opens the store of boots in the database. */
export function openBootStore(database: Database): BootStore & { flush(): void } {
  // Reports of every node every ten seconds are written together; losing the last ones is harmless.
  const reports = new Map<string, number>();

  /** Boots whose script waits for the disk. */
  let beginning: {
    readonly boot: NewBoot;
    readonly resolve: (record: BootRecord) => void;
    readonly reject: (error: unknown) => void;
  }[] = [];

  function writeBeginning(): void {
    const together = beginning;
    beginning = [];
    if (together.length === 0) return;
    const refused = (error: unknown) => {
      for (const { reject } of together) reject(error);
    };
    try {
      database.write(() => {
        for (const { boot } of together) insert(database, boot);
      });
    } catch (error) {
      refused(error);
      return;
    }
    database.sync().then(() => {
      for (const { boot, resolve } of together) resolve(newRecord(boot));
    }, refused);
  }

  function flush(): void {
    writeBeginning();
    if (reports.size === 0) return;
    database.transaction(() => {
      for (const [bootId, at] of reports) {
        database.run('UPDATE boots SET last_report_at = ? WHERE boot_id = ?', at, bootId);
      }
    });
    reports.clear();
  }

  function one(where: string, value: string): BootRecord | undefined {
    const row = database.get(
      `${select} WHERE ${where} ORDER BY created_at DESC, boot_id LIMIT 1`,
      value,
    );
    return row ? toRecord(row, reports) : undefined;
  }

  const store: BootStore & { flush(): void } = {
    flush,
    record(boot) {
      return new Promise((resolve, reject) => {
        beginning.push({ boot, resolve, reject });
        if (beginning.length === 1) setImmediate(writeBeginning);
      });
    },
    get: (bootId) => one('boot_id = ?', bootId),
    latestOf: (machine) => one('machine = ?', machine),
    latestAt: (address) => one('address = ?', address),
    list: () =>
      database.all(`${select} ORDER BY created_at, boot_id`).map((row) => toRecord(row, reports)),
    set(digest) {
      const row = database.get('SELECT body FROM boot_sets WHERE digest = ?', digest);
      return row ? readBootSet(String(row.body)) : undefined;
    },
    useToken(bootId, token, now) {
      const row = database.get(
        'SELECT token_hash, token_used_at FROM boots WHERE boot_id = ?',
        bootId,
      );
      const offered = Buffer.from(digestOf(token));
      const known = Buffer.from(row ? String(row.token_hash) : digestOf(''));
      if (!timingSafeEqual(offered, known) || !row) return 'unknown';
      const changed = database.run(
        'UPDATE boots SET token_used_at = ? WHERE boot_id = ? AND token_used_at IS NULL',
        now,
        bootId,
      );
      return changed === 1 ? 'ok' : 'used';
    },
    reported(bootId, stage, now) {
      if (stage === 'alive') {
        if (!reports.has(bootId) && !store.get(bootId)) return false;
        reports.set(bootId, now);
        return true;
      }
      reports.delete(bootId);
      const changed = database.run(
        'UPDATE boots SET last_report_at = ?, last_stage = ? WHERE boot_id = ?',
        now,
        stage,
        bootId,
      );
      return changed === 1;
    },
    noteHardware(bootId, hardware) {
      database.write(() =>
        database.run(
          'UPDATE boots SET hardware = ? WHERE boot_id = ?',
          JSON.stringify(hardware),
          bootId,
        ),
      );
    },
    offer(bootId, set) {
      database.transaction(() => {
        keepSet(database, set);
        database.run('UPDATE boots SET offered = ? WHERE boot_id = ?', set.digest, bootId);
      });
    },
    followed(bootId, set) {
      const changed = database.run(
        `UPDATE boots SET runs = ?1, offered = CASE WHEN offered = ?1 THEN NULL ELSE offered END
         WHERE boot_id = ?2 AND node = ?3`,
        set,
        bootId,
        store.set(set)?.node ?? null,
      );
      return changed === 1;
    },
    referenced() {
      const digests = new Set<Digest>();
      for (const row of database.all('SELECT body FROM boot_sets')) {
        const set = readBootSet(String(row.body));
        for (const digest of [
          set.image,
          set.kernel.digest,
          set.initramfs.digest,
          ...set.root.map(({ digest }) => digest),
          set.overlay.digest,
        ]) {
          digests.add(digest);
        }
      }
      return digests;
    },
    prune(now, maxAge = defaultMaxAge) {
      flush();
      database.transaction(() => {
        database.run(
          // A script that led to no boot is not a machine's last one; anybody may ask for it by a made-up MAC address.
          `DELETE FROM boots WHERE max(created_at, coalesce(last_report_at, 0)) < ?
             AND (last_report_at IS NULL OR EXISTS (SELECT 1 FROM boots AS newer
               WHERE newer.machine = boots.machine AND newer.created_at > boots.created_at
                 AND newer.last_report_at IS NOT NULL))`,
          now - maxAge,
        );
        database.run(
          `DELETE FROM boot_sets WHERE NOT EXISTS (SELECT 1 FROM boots
             WHERE boot_sets.digest IN (boots.boot_set, boots.runs, boots.offered))`,
        );
      });
    },
  };
  return store;
}

function keepSet(database: Database, set: BootSet): void {
  database.run(
    'INSERT INTO boot_sets (digest, body) VALUES (?, ?) ON CONFLICT DO NOTHING',
    set.digest,
    JSON.stringify(set),
  );
}

function insert(database: Database, boot: NewBoot): void {
  keepSet(database, boot.set);
  database.run(
    `INSERT INTO boots (boot_id, machine, node, boot_set, token_hash, created_at, address, last_stage)
     VALUES (?, ?, ?, ?, ?, ?, ?, '')`,
    boot.bootId,
    boot.machine,
    boot.node,
    boot.set.digest,
    digestOf(boot.token),
    boot.createdAt,
    boot.address,
  );
}

function newRecord({ token, ...boot }: NewBoot): BootRecord {
  return {
    ...boot,
    runs: boot.set,
    offered: null,
    tokenHash: digestOf(token),
    tokenUsedAt: null,
    lastReportAt: null,
    lastStage: '',
  };
}

function toRecord(row: Row, reports: ReadonlyMap<string, number>): BootRecord {
  const bootId = String(row.boot_id);
  return {
    bootId,
    machine: String(row.machine) as MacAddress,
    node: String(row.node),
    set: readBootSet(String(row.set_body)),
    runs: readBootSet(String(row.runs_body ?? row.set_body)),
    offered: row.offered as Digest | null,
    tokenHash: String(row.token_hash) as Digest,
    tokenUsedAt: row.token_used_at as number | null,
    createdAt: Number(row.created_at),
    address: String(row.address) as Ipv4,
    lastReportAt: reports.get(bootId) ?? (row.last_report_at as number | null),
    lastStage: String(row.last_stage) as ReportedStage | '',
    ...(row.hardware === null ? {} : { hardware: JSON.parse(String(row.hardware)) as Hardware }),
  };
}
