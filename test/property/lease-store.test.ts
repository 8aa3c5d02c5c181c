import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Ipv4 } from '../../src/net/ipv4.ts';
import type { MacAddress } from '../../src/net/mac.ts';
import { type Database, openDatabase } from '../../src/state/database.ts';
import { openLeaseStore } from '../../src/state/lease-store.ts';
import type { Lease } from '../../src/state/leases.ts';

const macs = Array.from({ length: 30 }, (_, n) => `52:54:00:00:00:${n + 10}` as MacAddress);
const addresses = Array.from({ length: 25 }, (_, n) => `10.77.0.${200 + n}` as Ipv4);

const change = fc.record({
  kind: fc.constantFrom('put', 'put', 'put', 'delete'),
  mac: fc.constantFrom(...macs),
  address: fc.constantFrom(...addresses),
});
const batch = fc.record({
  changes: fc.array(change, { minLength: 1, maxLength: 4 }),
  end: fc.constantFrom('kept', 'kept', 'kept', 'refused', 'reopened'),
});

it('a lease store that is opened anew has the leases it was closed with, however often it was swept', () => {
  fc.assert(
    fc.property(fc.array(batch, { minLength: 40, maxLength: 120 }), (batches) => {
      const folder = mkdtempSync(join(tmpdir(), 'rolecall-test-'));
      const path = join(folder, 'db');
      let isFull = false;
      let database = openDatabase(path);
      const open = () => {
        const write: Database['write'] = (work) =>
          database.write(() => {
            const value = work();
            if (isFull) throw new Error('the disk is full');
            return value;
          });
        return openLeaseStore({ ...database, write }, { forEach: 1, forAll: 4 });
      };
      let leases = open();
      const seen = () => macs.map((mac) => leases.of(mac));
      let at = 0;
      try {
        for (const { changes, end } of batches) {
          const before = seen();
          const written = leases.batch();
          for (const { kind, mac, address } of changes) {
            at += 1;
            const lease: Lease = { mac, address, expires: at, boundAt: at };
            if (kind === 'put') written.put(lease);
            else written.delete(mac);
          }
          if (end === 'refused') {
            isFull = true;
            expect(() => written.commit()).toThrow('full');
            isFull = false;
            expect(seen()).toEqual(before);
          } else written.commit();
          if (end !== 'reopened') continue;
          const closedWith = seen();
          database.close();
          database = openDatabase(path);
          leases = open();
          expect(seen()).toEqual(closedWith);
        }
        // A sweep that a restart ended begins anew; then it comes to its end, and so does the next one.
        for (let n = 0; n < 300; n += 1) {
          const lease = leases.of(macs[n % macs.length] as MacAddress);
          const renewed = leases.batch();
          if (lease) renewed.put({ ...lease, expires: lease.expires + 1 });
          renewed.commit();
        }
        const rows = Number(database.get('SELECT count(*) AS n FROM lease_changes')?.n);
        expect(rows).toBeLessThanOrEqual(4 * (4 + macs.length));
      } finally {
        database.close();
        rmSync(folder, { recursive: true });
      }
    }),
    { numRuns: 25 },
  );
});
