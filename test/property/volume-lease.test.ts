import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  afterRestart,
  decideLease,
  freeLease,
  type Lease,
  leaseTime,
} from '../../src/volumes/lease.ts';
import type { VolumeReport } from '../../src/volumes/volume-report.ts';

/**
 * Two nodes, the witness between them and everything that may go wrong: messages and answers that are late
 * or lost, a server that is killed before or after it answers, nodes that fall and come back, cables cut.
 * Each node believes in its lease as the program on it does: four seconds from before it asked, by a clock
 * of its own that runs up to one per cent off.
 */
interface Node {
  readonly name: 'nfs1' | 'nfs2';
  readonly rate: number;
  boot: number;
  /** True time until which it believes that it leads. */
  believes: number;
  /** Times that it gave the lease back: its program asks for one thing at a time, and heeds no older answer. */
  releases: number;
  /** Whether the witness has said that the other copy is older, and it was alone ever since: it needs no lease. */
  alone: boolean;
  /** Writes that were acknowledged to clients and that its copy holds. */
  copy: Set<number>;
}

const who = fc.constantFrom(0 as const, 1 as const);
/** Milliseconds of a message: next to nothing, or nearly as long as a term. */
const delay = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 20 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 4500 }) },
);
const ask = fc.record({
  ...{ kind: fc.constant('ask' as const), who, there: delay, back: delay },
  isLost: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.constant(true)),
});
const step = fc.oneof(
  { weight: 12, arbitrary: ask },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), who }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ms: fc.constantFrom(1, 100, 1000, 2500, 5100),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('cut' as const), isUp: fc.boolean() }),
  },
  fc.record({ kind: fc.constant('release' as const), who }),
  fc.record({ kind: fc.constant('fall' as const), who }),
  fc.record({
    kind: fc.constant('restart' as const),
    /** The new server's clock begins anywhere. */
    clock: fc.integer({ min: 0, max: 1e9 }),
  }),
);

const term = 4000;

test('never two leaders, and none whose copy lacks a write', () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 120 }),
      fc.double({ min: 0.99, max: 1.01, noNaN: true }),
      fc.double({ min: 0.99, max: 1.01, noNaN: true }),
      (steps, rateOne, rateTwo) => {
        let time = 0;
        let clockStart = 0;
        let clockAt = 0;
        let durable: Lease = freeLease;
        let lease: Lease = freeLease;
        let isUp = true;
        let written = 0;
        const acknowledged = new Set<number>();
        const nodeOf = (name: Node['name'], rate: number): Node => ({
          ...{ name, rate, boot: 1, believes: 0, releases: 0, alone: false, copy: new Set() },
        });
        const nodes = [nodeOf('nfs1', rateOne), nodeOf('nfs2', rateTwo)] as const;
        const clock = () => clockStart + (time - clockAt);
        const bootOf = (n: Node) => `${n.name} ${n.boot}`;
        const pending: { at: number; run: () => void }[] = [];
        const advance = (ms: number) => {
          const end = time + ms;
          for (;;) {
            pending.sort((a, b) => a.at - b.at);
            const next = pending[0];
            if (!next || next.at > end) break;
            pending.shift();
            time = Math.max(time, next.at);
            next.run();
          }
          time = end;
          mustBeOne();
        };
        const leads = (n: Node) => time < n.believes || (n.alone && !isUp);
        const mustBeOne = () => {
          expect(nodes.filter(leads).length, 'leaders').toBeLessThan(2);
        };
        const ask = (
          who: 0 | 1,
          facts: Partial<VolumeReport>,
          there: number,
          back: number,
          isLost: boolean,
        ) => {
          const me = nodes[who];
          const other = nodes[1 - who] as Node;
          const asked = time;
          const { boot, releases } = me;
          const report: VolumeReport = {
            ...blankReport,
            at: asked / 1000,
            role: leads(me) ? 'Primary' : 'Secondary',
            peerRole: isUp ? (leads(other) ? 'Primary' : 'Secondary') : 'Unknown',
            connection: isUp ? 'Connected' : 'WFConnection',
            disk: 'UpToDate',
            peerDisk: isUp ? 'UpToDate' : 'DUnknown',
            ...facts,
          };
          pending.push({
            at: time + there,
            run() {
              const decision = decideLease(
                lease,
                {
                  ...{ node: me.name, bootId: `${me.name} ${boot}`, peer: other.name },
                  ...{ isFirst: who === 0, report, heardFor: 60_000, wasConnected: true },
                },
                clock(),
              );
              lease = decision.lease;
              if (decision.isDurable) durable = lease;
              if (isLost) return;
              pending.push({
                at: time + back,
                run() {
                  if (me.boot !== boot || me.releases !== releases) return;
                  if (!decision.isGranted) return;
                  const until = asked + term / me.rate;
                  me.believes = Math.max(me.believes, until);
                  // The kernel lets writes go on without the peer, however late the answer.
                  if (report.fence) me.alone = !isUp;
                },
              });
            },
          });
        };
        for (const s of steps) {
          switch (s.kind) {
            case 'wait':
              advance(s.ms);
              break;
            case 'ask':
              // The kernel asks as soon as the peer is away.
              ask(s.who, { fence: !isUp }, s.there, s.back, s.isLost);
              advance(0);
              break;
            case 'release': {
              const me = nodes[s.who];
              me.believes = 0;
              me.releases += 1;
              me.alone = false;
              ask(s.who, { release: true, role: 'Secondary' }, 0, 0, false);
              advance(0);
              break;
            }
            case 'fall': {
              const me = nodes[s.who];
              Object.assign(me, { boot: me.boot + 1, believes: 0, alone: false });
              break;
            }
            case 'cut':
              isUp = s.isUp;
              if (isUp) {
                // Who went on alone gives the other what it lacks.
                for (const n of nodes) n.alone = false;
                const all = new Set([...nodes[0].copy, ...nodes[1].copy]);
                for (const n of nodes) n.copy = new Set(all);
              }
              break;
            case 'write': {
              const me = nodes[s.who];
              const other = nodes[1 - s.who] as Node;
              // Protocol C with fencing: both copies have it, or the witness knows that one has not.
              if (!leads(me) || !(isUp || me.alone)) break;
              written += 1;
              me.copy.add(written);
              if (isUp) other.copy.add(written);
              acknowledged.add(written);
              break;
            }
            case 'restart':
              clockStart = s.clock;
              clockAt = time;
              lease = afterRestart(durable, clock());
              break;
          }
          mustBeOne();
          // A write that was acknowledged is in the copy of whoever may answer the next one.
          for (const n of nodes.filter((n) => leads(n) && (isUp || n.alone))) {
            for (const w of acknowledged) expect(n.copy, `${bootOf(n)} lacks a write`).toContain(w);
          }
        }
        advance(leaseTime * 2);
      },
    ),
    { numRuns: 3000 },
  );
});

const blankReport: VolumeReport = {
  ...{ at: 0, role: 'Secondary', peerRole: 'Secondary', connection: 'Connected' },
  ...{ disk: 'UpToDate', peerDisk: 'UpToDate', done: 100, suspended: false, serving: false },
  ...{ fence: false, release: false, met: true, problem: '' },
};
