import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Ipv4, ipv4FromNumber, ipv4ToNumber } from '../../src/net/ipv4.ts';
import type { MacAddress } from '../../src/net/mac.ts';
import { createHeldAddresses } from '../../src/pxe/held-addresses.ts';
import { createPoolIndex } from '../../src/pxe/pool-index.ts';
import { createLeaseTable } from '../../src/state/leases.ts';
import { ip } from '../unit/dhcp/a-dhcp-site.ts';

const pool = { first: ip('10.77.0.190'), last: ip('10.77.1.9') };
const first = ipv4ToNumber(pool.first);
const addresses = Array.from({ length: ipv4ToNumber(pool.last) - first + 1 }, (_v, i) =>
  ipv4FromNumber(first + i),
);
const reserved = new Set([ip('10.77.0.190'), ip('10.77.1.0')]);
// More machines than addresses, most of them on the first few: what is full and what is not takes turns.
const machine = fc.nat(99).map((n) => `machine ${n}` as MacAddress);
const address = fc.oneof(fc.nat(5), fc.nat(addresses.length - 1)).map((n) => addresses[n] as Ipv4);
const time = fc.nat(1000);
const count = fc.oneof(fc.constant(addresses.length), fc.nat(addresses.length));
const step = fc.oneof(
  fc.record({ does: fc.constant('put' as const), mac: machine, address, expires: time }),
  fc.record({ does: fc.constant('delete' as const), mac: machine }),
  fc.record({ does: fc.constant('hold' as const), mac: machine, address, until: time }),
  fc.record({ does: fc.constant('decline' as const), address, until: time }),
  fc.record({ does: fc.constant('unhold' as const), mac: machine }),
  fc.record({ does: fc.constant('fill' as const), upTo: count, expires: time }),
);

it('the index of a pool says what a look at every address says', () => {
  let full = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const leases = createLeaseTable();
      const holds = createHeldAddresses(20);
      const index = createPoolIndex(leases, holds);
      index.of(pool, reserved);
      let now = 0;
      for (const s of steps) {
        now += 15;
        holds.expire(now);
        if (s.does === 'put') leases.put({ ...s, boundAt: 0 });
        else if (s.does === 'delete') leases.delete(s.mac);
        else if (s.does === 'hold') holds.hold(s.address, { mac: s.mac, until: s.until });
        else if (s.does === 'decline') holds.hold(s.address, { until: s.until });
        else if (s.does === 'unhold') holds.release(s.mac);
        else {
          for (const [n, a] of addresses.slice(0, s.upTo).entries()) {
            leases.put({
              ...{ mac: `filler ${n}` as MacAddress, address: a },
              ...{ expires: s.expires + n, boundAt: 0 },
            });
          }
        }
        holds.expire(now);

        const open = addresses.filter((a) => !reserved.has(a) && !holds.at(a));
        const view = index.of(pool, reserved);
        const unused = open.find((a) => !leases.at(a));
        if (unused === undefined) full += 1;
        expect(view.lowestUnused()).toBe(unused);
        const expired = open
          .flatMap((a) => leases.at(a) ?? [])
          .filter((lease) => lease.expires <= now)
          .map((lease) => lease.expires);
        const found = view.firstExpired(now);
        expect(found?.expires).toBe(expired.length ? Math.min(...expired) : undefined);
        if (found) expect(leases.at(found.address)).toBe(found);
      }
    }),
    { numRuns: 300 },
  );
  expect(full).toBeGreaterThan(50);
});
