import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { AppError } from '../../../src/errors.ts';
import { type Database, openDatabase } from '../../../src/state/database.ts';
import { openKnownMachines } from '../../../src/state/known-machines.ts';
import { mac } from '../dhcp/a-dhcp-site.ts';
import { temporaryFolder } from './temporary-folder.ts';
import { watchWaits } from './waiting-database.ts';

const one = mac('52:54:00:00:00:01');
const other = mac('52:54:00:00:00:02');
const uuid = '4c4c4544-0044-4810-8031-b9c04f4a3232';
const port = { circuit: 'p7' };
const day = 86_400_000;

function open(path = join(temporaryFolder(), 'db')): { database: Database; path: string } {
  const database = openDatabase(path);
  onTestFinished(() => database.close());
  return { database, path };
}

test('what a machine that boots says outlives the server, what DHCP alone heard does not', () => {
  const { database, path } = open();
  const before = openKnownMachines(database);
  before.heard({ mac: one, port });
  before.keep({ mac: one, uuid, serial: 'ABC', port }, 0);
  before.heard({ mac: other, uuid });
  expect(before.of(other)).toEqual({ uuid });
  database.close();
  const after = openKnownMachines(open(path).database);
  expect(after.of(one)).toEqual({ uuid, serial: 'ABC', port });
  expect(after.of(other)).toBeUndefined();
});

test('a machine put on a port takes it from the one that was there, after a restart too', () => {
  const { database, path } = open();
  const before = openKnownMachines(database);
  before.heard({ mac: one, uuid, port });
  before.keep({ mac: one, uuid, port }, 0);
  database.close();
  const second = open(path);
  const after = openKnownMachines(second.database);
  after.heard({ mac: other, port });
  expect(after.of(other)).toEqual({ port });
  expect(after.of(one)).toEqual({ uuid });
  second.database.close();
  expect(openKnownMachines(open(path).database).of(one)).toEqual({ uuid });
});

test('a machine put on a port is heard though the disk is full, and takes the port on disk later', () => {
  const { database, path } = open();
  let isFull = false;
  const run: Database['run'] = (...statement) => {
    if (isFull) throw new AppError('disk-full', 'its disk is full');
    return database.run(...statement);
  };
  const known = openKnownMachines({ ...database, run });
  known.keep({ mac: one, uuid, port }, 0);
  known.heard({ mac: one, port });
  isFull = true;
  known.heard({ mac: other, port });
  expect(known.of(other)).toEqual({ port });
  expect(known.of(one)).toEqual({ uuid });
  expect(() => known.keep({ mac: other, port }, 0)).toThrow('full');
  isFull = false;
  known.heard({ mac: other, port });
  known.keep({ mac: other, port }, 0);
  database.close();
  const after = openKnownMachines(open(path).database);
  expect(after.of(one)).toEqual({ uuid });
  expect(after.of(other)).toEqual({ port });
});

test('what a rack says that boots is written without a wait for the disk: its boots are synced, all at once', () => {
  const { database } = open();
  const { watched, waits } = watchWaits(database);
  const known = openKnownMachines(watched);
  known.heard({ mac: one, port });
  known.keep({ mac: one, uuid, port }, 0);
  known.heard({ mac: other, port });
  expect(known.of(one)).toEqual({ uuid });
  expect(waits).toEqual([]);
});

test('a card that is in another machine now is not taken for the old one', () => {
  const known = openKnownMachines(open().database);
  known.keep({ mac: one, uuid, serial: 'ABC' }, 0);
  const moved = '11223344-5566-7788-99aa-bbccddeeff00';
  known.heard({ mac: one, uuid: moved });
  expect(known.of(one)).toEqual({ uuid: moved });
});

test('a flood of machines fills no memory and forgets none that boots', () => {
  const known = openKnownMachines(open().database, 2);
  known.keep({ mac: one, uuid }, 0);
  for (let n = 0; n < 10; n += 1) {
    known.heard({ mac: mac(`52:54:00:00:01:0${n}`), port: { circuit: `p${n}` } });
  }
  expect(known.of(mac('52:54:00:00:01:00'))).toBeUndefined();
  expect(known.of(mac('52:54:00:00:01:09'))).toEqual({ port: { circuit: 'p9' } });
  expect(known.of(one)).toEqual({ uuid });
});

test('a machine is forgotten half a year after its last boot', () => {
  const known = openKnownMachines(open().database);
  known.keep({ mac: one, uuid }, 0);
  known.keep({ mac: other, uuid }, 0);
  known.keep({ mac: one, uuid }, 100 * day);
  known.prune(200 * day);
  expect(known.of(one)).toEqual({ uuid });
  expect(known.of(other)).toBeUndefined();
});
