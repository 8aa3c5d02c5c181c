import { describe, expect, it } from 'vitest';
import type { Hold } from '../../../src/pxe/held-addresses.ts';
import { createHeldAddresses } from '../../../src/pxe/held-addresses.ts';
import { chooseAddress, leaseSeconds, prolongLease } from '../../../src/pxe/leases.ts';
import type { Lease } from '../../../src/state/leases.ts';
import { ip, mac } from './a-dhcp-site.ts';
import { addressFacts } from './address-facts.ts';

const now = 1_000_000;
const pool = { first: ip('10.77.0.200'), last: ip('10.77.0.203') };
const me = mac('52:54:00:00:00:99');
const other = (n: number) => mac(`52:54:00:00:01:${n.toString(16).padStart(2, '0')}`);

function lease(address: string, owner = me, expires = now + 1000): Lease {
  return { mac: owner, address: ip(address), expires, boundAt: 5 };
}

function choose(
  facts: {
    readonly leases?: readonly Lease[];
    readonly holds?: readonly (readonly [string, Hold])[];
    readonly reserved?: readonly string[];
    readonly requested?: string;
  } = {},
) {
  return chooseAddress(
    {
      pool,
      reserved: new Set((facts.reserved ?? []).map(ip)),
      ...addressFacts(now, {
        leases: facts.leases ?? [],
        holds: (facts.holds ?? []).map(([address, hold]) => [ip(address), hold]),
      }),
      now,
    },
    me,
    facts.requested === undefined ? undefined : ip(facts.requested),
  );
}

const at = (address: string) => ({ kind: 'address', address });
const late = now + 1;
const taken = [200, 201, 202, 203].map((n) => lease(`10.77.0.${n}`, other(n)));

describe('the address of an unknown machine', () => {
  it('is the lowest that nobody has', () => {
    expect(choose()).toEqual(at('10.77.0.200'));
    expect(choose({ leases: [lease('10.77.0.200', other(1))] })).toEqual(at('10.77.0.201'));
  });

  it('is the one it asks for, where that is free', () => {
    expect(choose({ requested: '10.77.0.202' })).toEqual(at('10.77.0.202'));
  });

  it.each(['10.77.0.199', '10.77.0.204', '192.0.2.1'])(
    'is not %s, outside the pool',
    (requested) => {
      expect(choose({ requested })).toEqual(at('10.77.0.200'));
    },
  );

  it('is that of its lease, also of an expired one, whatever it asks for', () => {
    for (const expires of [now + 1000, now - 1000]) {
      const own = lease('10.77.0.203', me, expires);
      const choice = choose({ leases: [own], requested: '10.77.0.201' });
      expect(choice).toEqual({ ...at('10.77.0.203'), lease: own });
    }
  });

  it('is that of its offer', () => {
    const holds = [['10.77.0.202', { mac: me, until: late }]] as const;
    expect(choose({ holds, requested: '10.77.0.201' })).toEqual(at('10.77.0.202'));
  });

  it("is not another machine's offer until that ends", () => {
    const offered = (until: number) =>
      choose({ holds: [['10.77.0.200', { mac: other(1), until }]], requested: '10.77.0.200' });
    expect(offered(late)).toEqual(at('10.77.0.201'));
    expect(offered(now)).toEqual(at('10.77.0.200'));
  });

  it('is not one that the site gives to a node, even where it has a lease on it', () => {
    const reserved = ['10.77.0.200', '10.77.0.202'];
    expect(choose({ reserved })).toEqual(at('10.77.0.201'));
    expect(choose({ reserved, leases: [lease('10.77.0.202')] })).toEqual(at('10.77.0.201'));
  });

  it('is not one that was declined', () => {
    expect(choose({ holds: [['10.77.0.200', { until: late }]] })).toEqual(at('10.77.0.201'));
    expect(
      choose({ leases: [lease('10.77.0.200')], holds: [['10.77.0.200', { until: late }]] }),
    ).toEqual(at('10.77.0.201'));
  });

  it('takes a never used address before an expired one', () => {
    const leases = [lease('10.77.0.200', other(1), now - 1)];
    expect(choose({ leases })).toEqual(at('10.77.0.201'));
  });

  it('takes that of the lease that expired first, and ends that lease', () => {
    const leases = [
      lease('10.77.0.200', other(1), now - 10),
      lease('10.77.0.201', other(2), now - 30),
      lease('10.77.0.202', other(3), now - 20),
      lease('10.77.0.203', other(4), now + 1),
    ];
    expect(choose({ leases })).toEqual({ ...at('10.77.0.201'), evicts: other(2) });
  });

  it('is none where all are in use', () => {
    expect(choose({ leases: taken })).toEqual({
      kind: 'full',
      reason: 'all 4 addresses of the pool 10.77.0.200-10.77.0.203 are in use',
    });
  });
});

describe('prolonging the lease of a machine that reports', () => {
  const full = leaseSeconds * 1000;

  it('writes nothing while over half of the time is left', () => {
    expect(prolongLease(lease('10.77.0.200', me, now + full / 2), now)).toBeUndefined();
  });

  it('gives the whole time again after that', () => {
    const short = lease('10.77.0.200', me, now + full / 2 - 1);
    expect(prolongLease(short, now)).toEqual({ ...short, expires: now + full });
  });
});

describe('held addresses', () => {
  it('ends the earlier hold of a machine that gets another', () => {
    const held = createHeldAddresses();
    held.hold(ip('10.77.0.200'), { mac: me, until: late });
    held.hold(ip('10.77.0.201'), { mac: me, until: late });
    expect(held.at(ip('10.77.0.200'))).toBeUndefined();
    expect(held.of(me)).toBe('10.77.0.201');
    held.release(me);
    expect(held.size).toBe(0);
  });

  it("does not end another machine's hold when the address changed hands", () => {
    const held = createHeldAddresses();
    held.hold(ip('10.77.0.200'), { mac: other(1), until: now });
    held.hold(ip('10.77.0.200'), { mac: me, until: late });
    held.release(other(1));
    expect(held.at(ip('10.77.0.200'))).toEqual({ mac: me, until: late });
  });

  it('drops the oldest beyond its limit', () => {
    const held = createHeldAddresses(2);
    for (const n of [1, 2, 3]) held.hold(ip(`10.77.0.${n}`), { mac: other(n), until: late });
    expect(held.size).toBe(2);
    expect(held.at(ip('10.77.0.1'))).toBeUndefined();
    expect(held.of(other(1))).toBeUndefined();
  });

  it('end with their time, also where the same address was held before for longer', () => {
    const held = createHeldAddresses();
    held.hold(ip('10.77.0.1'), { mac: me, until: late });
    held.hold(ip('10.77.0.1'), { mac: other(1), until: late + 50 });
    held.hold(ip('10.77.0.2'), { until: late + 100 });
    held.expire(late);
    expect(held.of(other(1))).toBe('10.77.0.1');
    held.expire(late + 50);
    expect(held.at(ip('10.77.0.1'))).toBeUndefined();
    expect(held.at(ip('10.77.0.2'))).toEqual({ until: late + 100 });
  });
});
