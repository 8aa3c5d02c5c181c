import { randomBytes } from 'node:crypto';
import { AppError } from '../errors.ts';
import type { CreateRequest, VolumeStatus } from '../http/volume-status.ts';
import type { Volume } from '../site/site.ts';
import type { BootRecord } from '../state/boots.ts';
import type { State } from '../state/state.ts';
import { advanceOrder, type CreateOrder, describeOrder, stepFor } from '../volumes/create-order.ts';
import { type Claim, decideLease, type LeaseDecision } from '../volumes/lease.ts';
import { type PairMember, planCreate } from '../volumes/plan-create.ts';
import { isConnected, type VolumeReport } from '../volumes/volume-report.ts';
import type { Generation } from './generation.ts';
import type { Journal } from './journal.ts';

export interface VolumeServiceParts {
  readonly state: Pick<State, 'boots' | 'volumeLeases'>;
  readonly generation: () => Generation;
  readonly journal: Pick<Journal, 'add'>;
  /** Milliseconds of a clock that only goes forward, the one by which the state's leases were opened. */
  readonly clock: () => number;
  readonly now: () => number;
}

/** The boot server as the witness of the volumes: it hears both nodes of a pair and lends the lead to one. */
export interface VolumeService {
  report(bootId: string, volume: string, report: VolumeReport): string | undefined;
  list(): readonly VolumeStatus[];
  /** Begins what the operator agreed to, where both disks still are what they were shown. */
  create(volume: string, request: CreateRequest): { readonly order: string };
}

/** What was heard last of one node about one volume. */
interface Heard {
  readonly bootId: string;
  /** By the clock. */
  readonly since: number;
  readonly at: number;
  readonly wallTime: number;
  readonly wasConnected: boolean;
  readonly report: VolumeReport;
}

/** Milliseconds after which a report says nothing of how a node is now. */
const freshFor = 10_000;

/** Creates the witness. */
export function createVolumeService(parts: VolumeServiceParts): VolumeService {
  const { state, generation, journal, clock } = parts;
  const heard = new Map<string, Heard>();
  const orders = new Map<string, CreateOrder>();
  const keyOf = (volume: string, node: string) => `${volume} ${node}`;

  function keepHeard(volume: Volume, record: BootRecord, report: VolumeReport): Heard {
    const key = keyOf(volume.name, record.node);
    const before = heard.get(key);
    const same = before?.bootId === record.bootId ? before : undefined;
    const now: Heard = {
      bootId: record.bootId,
      since: same?.since ?? clock(),
      at: clock(),
      wallTime: parts.now(),
      wasConnected: same?.wasConnected === true || report.met || isConnected(report),
      // The disk is looked at once, not every second.
      report: { ...(same?.report.survey ? { survey: same.report.survey } : {}), ...report },
    };
    heard.set(key, now);
    return now;
  }

  function lend(volume: Volume, record: BootRecord, { since, wasConnected, report }: Heard) {
    const [first, second] = volume.nodes;
    const peer = record.node === first ? second : first;
    const other = heard.get(keyOf(volume.name, peer));
    const claim: Claim = {
      ...{ node: record.node, bootId: record.bootId, peer, isFirst: record.node === first },
      ...{ report, heardFor: clock() - since, wasConnected },
      ...(other ? { peerReport: { report: other.report, age: clock() - other.at } } : {}),
    };
    const before = state.volumeLeases.of(volume.name);
    const decision = decideLease(before, claim, clock());
    state.volumeLeases.put(volume.name, decision.lease, decision.isDurable);
    note(volume.name, record, before.holder?.bootId, decision, report.fence ? peer : undefined);
    return decision;
  }

  /** What an operator wants to see go by, on the log and in the node's events. */
  function note(
    volume: string,
    { machine, node, bootId }: BootRecord,
    holder: string | undefined,
    { isGranted, lease }: LeaseDecision,
    fenced: string | undefined,
  ): void {
    const tell = (reason: string) => journal.add({ machine, node, kind: 'volume', volume, reason });
    if (isGranted && holder !== bootId) tell(`${node} leads it`);
    if (isGranted && fenced !== undefined) tell(`${node} goes on without ${fenced}`);
    if (!isGranted && holder === bootId && !lease.holder) tell(`${node} gave the lead back`);
  }

  function membersOf(volume: Volume): readonly [PairMember, PairMember] {
    const member = (node: string): PairMember => {
      const last = heard.get(keyOf(volume.name, node));
      const isFresh = last !== undefined && clock() - last.at < freshFor;
      return { node, report: isFresh ? last.report : undefined };
    };
    const [first, second] = volume.nodes;
    return [member(first), member(second)];
  }

  function siteVolume(name: string): Volume | undefined {
    return generation().fleet.site.volumes.get(name);
  }

  function statusOf(volume: Volume): VolumeStatus {
    const lease = state.volumeLeases.of(volume.name);
    const order = orders.get(volume.name);
    const isLed = lease.holder !== undefined && clock() < lease.until;
    return {
      name: volume.name,
      leader: isLed ? (lease.holder?.node ?? '') : '',
      device: volume.device,
      at: volume.at,
      vip: [...volume.vip.values()],
      nodes: volume.nodes.map((node) => {
        const last = heard.get(keyOf(volume.name, node));
        const isFresh = last !== undefined && clock() - last.at < freshFor;
        return {
          name: node,
          heard: last ? new Date(last.wallTime).toISOString() : '',
          outdated: lease.outdated?.node === node,
          ...(isFresh ? { report: last.report } : {}),
        };
      }),
      ...(order
        ? {
            order: { id: order.id, state: order.state, why: order.why, step: describeOrder(order) },
          }
        : {}),
    };
  }

  return {
    report(bootId, name, report) {
      const record = state.boots.get(bootId);
      const volume = siteVolume(name);
      if (!record || !volume?.nodes.includes(record.node)) return undefined;
      const now = keepHeard(volume, record, report);
      const before = orders.get(name);
      const order = before && advanceOrder(before, record.node, now.report, clock());
      if (order) orders.set(name, order);
      if (order?.state === 'running') {
        const step = stepFor(order, record.node, now.report);
        const disk = order.plan.overwrite.find((d) => d.node === record.node);
        return renderAnswer({
          lease: 'no',
          why: 'it is being made',
          ...(step
            ? {
                order: `${order.id} ${step} ${order.force ? 'force' : 'blank'} ${disk?.token ?? '-'}`,
              }
            : {}),
        });
      }
      const decision = lend(volume, record, now);
      return renderAnswer({
        lease: decision.isGranted ? 'yes' : 'no',
        ...(decision.why === '' ? {} : { why: decision.why }),
        ...(decision.outdate ? { outdate: 'yes' } : {}),
        ...(decision.disconnect ? { disconnect: 'yes' } : {}),
        // Hundredths of a second, as /proc/uptime counts.
        ...(decision.again === undefined ? {} : { again: String(Math.ceil(decision.again / 10)) }),
      });
    },
    list: () => [...generation().fleet.site.volumes.values()].map(statusOf),
    create(name, { force, disks }) {
      const volume = siteVolume(name);
      if (!volume) throw new AppError('unknown-volume', `the site has no volume ${name}`);
      if (orders.get(name)?.state === 'running') {
        throw new AppError('volume-busy', `volume ${name} is being made`, 'rolecall volume status');
      }
      const plan = planCreate(membersOf(volume), force);
      if (plan.kind === 'refuse') {
        throw new AppError('volume-refused', plan.reasons.join('; '), plan.hint);
      }
      const shown = plan.overwrite.map(({ node, token }) => `${node} ${token}`).sort();
      const agreed = Object.entries(disks).map(([node, token]) => `${node} ${token}`);
      if (shown.join('\n') !== agreed.sort().join('\n')) {
        throw new AppError(
          'volume-changed',
          'the disks are not any more what was shown; nothing was changed',
          'look again: rolecall volume create',
        );
      }
      const order: CreateOrder = {
        ...{ id: randomBytes(8).toString('hex'), plan, force, first: volume.nodes[0] },
        ...{ done: [], state: 'running', why: '', since: clock() },
      };
      orders.set(name, order);
      return { order: order.id };
    },
  };
}

function renderAnswer(answer: Readonly<Record<string, string>>): string {
  return Object.entries(answer)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n');
}
