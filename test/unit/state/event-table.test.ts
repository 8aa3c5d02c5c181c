import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { type Database, openDatabase } from '../../../src/state/database.ts';
import { openEventTable } from '../../../src/state/event-table.ts';
import { defaultEventLimits } from '../../../src/state/events.ts';
import { openLeaseStore } from '../../../src/state/lease-store.ts';
import { migrations } from '../../../src/state/schema.ts';
import { address, event, mac, start } from './fold.ts';
import { temporaryFolder } from './temporary-folder.ts';

function open(path: string): Database {
  const database = openDatabase(path);
  onTestFinished(() => database.close());
  return database;
}

/** An event of machine `n % 3` at second `n`. */
const nth = (n: number) => event(n, { kind: 'silent' }, 'web1', mac(n % 3));

test('a machine’s events are found while none, some and all are in the index, after a restart too', () => {
  const path = join(temporaryFolder(), 'db');
  let database = open(path);
  let table = openEventTable(database, defaultEventLimits);
  const events = Array.from({ length: 30 }, (_, n) => nth(n));
  table.add(events);
  const ofOne = events.filter(({ machine }) => machine === mac(1));
  const found = () => table.list({ machine: mac(1) }).map((logged) => logged.event);
  for (const left of [30, 20, 10, 0]) {
    expect(table.unsettled()).toBe(left);
    expect(found()).toEqual(ofOne);
    expect(table.list({ machine: mac(1), limit: 7 }).map(({ id }) => id)).toEqual([
      11, 14, 17, 20, 23, 26, 29,
    ]);
    database.close();
    database = open(path);
    table = openEventTable(database, defaultEventLimits);
    table.settle(10);
  }
  table.add([nth(31)]);
  expect(found()).toEqual([...ofOne, nth(31)]);
});

test('what is beyond the limits of a machine and of all goes when the table is settled', () => {
  const database = open(join(temporaryFolder(), 'db'));
  const kept = () => Number(database.get('SELECT count(*) AS n FROM events')?.n);
  const table = openEventTable(database, { ...defaultEventLimits, perMachine: 4, total: 10 });
  table.add(Array.from({ length: 11 }, (_, n) => nth(n)));
  expect(kept()).toBe(11);
  while (table.unsettled() > 0) table.settle(3);
  expect(kept()).toBe(10);
  table.add(Array.from({ length: 40 }, (_, n) => event(50 + n, { kind: 'silent' })));
  while (table.unsettled() > 0) table.settle(64);
  expect(table.list({}).map((logged) => (logged.event.at - start) / 1000)).toEqual([
    86, 87, 88, 89,
  ]);
});

test('ids go on after all events went by age', () => {
  const path = join(temporaryFolder(), 'db');
  const database = open(path);
  const table = openEventTable(database, defaultEventLimits);
  table.add([nth(0), nth(1)]);
  table.prune(start + 2 * defaultEventLimits.maxAge);
  database.close();
  const after = openEventTable(open(path), defaultEventLimits);
  while (after.unsettled() > 0) after.settle(10);
  after.add([nth(2)]);
  expect(after.list({}).map(({ id }) => id)).toEqual([3]);
});

test('events and leases of the version before are all there', () => {
  const path = join(temporaryFolder(), 'db');
  const old = new DatabaseSync(path);
  for (const step of migrations.slice(0, 4)) old.exec(step);
  old.exec('PRAGMA user_version=4');
  for (let n = 0; n < 6; n += 1) {
    old
      .prepare('INSERT INTO events (at, machine, body) VALUES (?, ?, ?)')
      .run(nth(n).at, nth(n).machine, JSON.stringify(nth(n)));
  }
  const lease = { mac: mac(7), address: address(207), expires: start, boundAt: start };
  old
    .prepare('INSERT INTO leases VALUES (?, ?, ?, ?)')
    .run(lease.mac, lease.address, lease.expires, lease.boundAt);
  old.close();
  const database = open(path);
  const table = openEventTable(database, defaultEventLimits);
  expect(table.unsettled()).toBe(0);
  expect(table.list({ machine: mac(2) }).map((logged) => logged.event)).toEqual([nth(2), nth(5)]);
  expect(openLeaseStore(database).of(lease.mac)).toEqual(lease);
});

test('a log of writes that has grown goes into the tables, a small one stays', () => {
  const path = join(temporaryFolder(), 'db');
  const database = open(path);
  const table = openEventTable(database, defaultEventLimits);
  const logged = () => statSync(`${path}-wal`).size;
  table.add([nth(0)]);
  database.checkpoint();
  expect(logged()).toBeGreaterThan(0);
  const reason = 'x'.repeat(4096);
  table.add(Array.from({ length: 2000 }, (_, n) => event(n, { kind: 'warning', reason })));
  database.checkpoint();
  expect(logged()).toBe(0);
});

test('events that are refused because old ones cannot go are not written, so that the next try writes them once', () => {
  const database = open(join(temporaryFolder(), 'db'));
  let isFull = true;
  const run: Database['run'] = (sql, ...values) => {
    if (isFull && sql.startsWith('DELETE')) throw new Error('the disk is full');
    return database.run(sql, ...values);
  };
  const table = openEventTable({ ...database, run }, { ...defaultEventLimits, total: 10 });
  const events = Array.from({ length: 12 }, (_, n) => nth(n));
  expect(() => table.add(events)).toThrow('full');
  expect(table.list({})).toEqual([]);
  isFull = false;
  table.add(events);
  expect(table.list({}).map((logged) => logged.event)).toEqual(events.slice(2));
});
