import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { identifyMachine } from '../../src/boot/identify-machine.ts';
import type { Ipv4 } from '../../src/net/ipv4.ts';
import { noAddress } from '../../src/pxe/dhcp-packet.ts';
import { decideDhcpReply } from '../../src/pxe/dhcp-reply.ts';
import { createHeldAddresses } from '../../src/pxe/held-addresses.ts';
import { createPoolIndex } from '../../src/pxe/pool-index.ts';
import { createLeaseTable } from '../../src/state/leases.ts';
import { seededRandom } from '../seeded-random.ts';
import { aDhcpSite, ip, mac, serverAddress } from '../unit/dhcp/a-dhcp-site.ts';
import { client, type Said } from '../unit/dhcp/messages.ts';

const site = aDhcpSite();
const pool = ['10.77.0.200', '10.77.0.201', '10.77.0.202', '10.77.0.203'];

/** A server without sockets: the decisions, with leases and offers as they would be kept. */
function aServer() {
  const leases = createLeaseTable();
  let held = createHeldAddresses();
  let pools = createPoolIndex(leases, held);
  return {
    leases,
    held: () => held,
    /** A restart forgets what is only in memory. */
    restart() {
      held = createHeldAddresses();
      pools = createPoolIndex(leases, held);
    },
    /** Type and address of the answer to one message. */
    hear(said: Said, now: number): { type: number; address: Ipv4 } | undefined {
      const who = client(said);
      held.expire(now);
      const decision = decideDhcpReply(who, {
        site,
        machine: identifyMachine(site, { mac: who.mac }),
        serverAddress,
        httpServer: 'http://10.77.0.1',
        leases,
        holds: held,
        pools,
        isOurLoader: false,
        ports: { server: 67, client: 68 },
        now,
      });
      for (const change of decision.changes) {
        if (change.kind === 'hold') held.hold(change.address, change.hold);
        else if (change.kind === 'unhold') held.release(change.mac);
        else if (change.kind === 'put') leases.put(change.lease);
        else leases.delete(change.mac);
      }
      if (decision.kind === 'ignore') return undefined;
      return {
        type: decision.packet.options.get(53)?.[0] ?? 0,
        address: decision.packet.yiaddr,
      };
    },
  };
}

const machines = Array.from({ length: 8 }, (_v, i) => `52:54:00:00:01:0${i}`);
const machine = fc.constantFrom(...machines, '52:54:00:00:00:21');
const wanted = fc.constantFrom(...pool, '10.77.0.21', '10.77.0.199', '192.168.0.7');
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constant('boot' as const), machine }) },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constantFrom(
        'discover' as const,
        'select' as const,
        'reboot' as const,
        'renew' as const,
      ),
      machine,
      wanted,
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('release' as const), machine }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('decline' as const), machine }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('restart' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant('wait' as const),
      ms: fc.constantFrom(1_000, 61_000, 30 * 60_000, 7 * 3_600_000, 13 * 3_600_000),
    }),
  },
);

describe('no address is given twice', () => {
  it('whatever the machines do, over restarts and expiries', () => {
    let acknowledged = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 120 }), (steps) => {
        const server = aServer();
        // What each machine believes: its address, and until when it may use it.
        const believes = new Map<string, { address: Ipv4; until: number }>();
        let now = 1_800_000_000_000;
        const take = (who: string, got: ReturnType<typeof server.hear>) => {
          if (got?.type === 6) believes.delete(who);
          if (got?.type !== 5) return;
          acknowledged += 1;
          for (const [other, theirs] of believes) {
            if (other !== who && theirs.until > now) expect(theirs.address).not.toBe(got.address);
          }
          if (who === '52:54:00:00:00:21') expect(got.address).toBe('10.77.0.21');
          else expect(pool).toContain(got.address);
          believes.set(who, { address: got.address, until: now + 43_200_000 });
        };
        for (const s of steps) {
          switch (s.does) {
            case 'wait':
              now += s.ms;
              break;
            case 'restart':
              server.restart();
              break;
            case 'boot': {
              const offer = server.hear({ mac: s.machine }, now);
              if (offer?.type !== 2) break;
              const select = {
                type: 'request',
                serverId: '10.77.0.1',
                requested: offer.address,
              } as const;
              const got = server.hear({ mac: s.machine, ...select }, now + 1);
              // Nobody came between: what was offered is given.
              expect(got).toEqual({ type: 5, address: offer.address });
              take(s.machine, got);
              break;
            }
            case 'discover':
              server.hear({ mac: s.machine, requested: s.wanted }, now);
              break;
            case 'select':
            case 'reboot': {
              const id = s.does === 'select' ? { serverId: '10.77.0.1' } : {};
              take(
                s.machine,
                server.hear({ mac: s.machine, type: 'request', requested: s.wanted, ...id }, now),
              );
              break;
            }
            case 'renew':
              take(
                s.machine,
                server.hear({ mac: s.machine, type: 'request', ciaddr: s.wanted }, now),
              );
              break;
            case 'release':
            case 'decline': {
              const mine = believes.get(s.machine)?.address ?? noAddress;
              const says = s.does === 'release' ? { ciaddr: mine } : { requested: mine };
              server.hear({ mac: s.machine, type: s.does, serverId: '10.77.0.1', ...says }, now);
              believes.delete(s.machine);
              break;
            }
          }
          for (const who of machines) {
            const lease = server.leases.of(mac(who));
            if (lease) expect(server.leases.at(lease.address)).toEqual(lease);
          }
        }
      }),
      { numRuns: 300 },
    );
    expect(acknowledged).toBeGreaterThan(1000);
  }, 120_000);
});

describe('a flood of DISCOVERs from 50,000 machines', () => {
  it('holds no more than the pool, and the pool is free again a minute later', () => {
    const server = aServer();
    const random = seededRandom(50_000);
    const hex = () =>
      Math.floor(random() * 256)
        .toString(16)
        .padStart(2, '0');
    let offered = 0;
    for (let n = 0; n < 50_000; n += 1) {
      const stranger = mac(`02:${hex()}:${hex()}:${hex()}:${hex()}:${hex()}`);
      if (server.hear({ mac: stranger }, 1_000_000 + n / 1000)) offered += 1;
      expect(server.held().size).toBeLessThanOrEqual(pool.length);
    }
    expect(offered).toBe(pool.length);
    for (const address of pool) expect(server.leases.at(ip(address))).toBeUndefined();
    expect(server.hear({ mac: '52:54:00:00:00:99' }, 1_000_000 + 61_000)?.address).toBe(
      ip('10.77.0.200'),
    );
  }, 120_000);

  it('does not keep a node from its address', () => {
    const server = aServer();
    for (const who of machines) server.hear({ mac: who }, 1000);
    expect(server.hear({}, 1000)).toEqual({ type: 2, address: '10.77.0.21' });
  });
});
