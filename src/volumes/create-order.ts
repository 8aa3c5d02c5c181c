import type { CreatePlan } from './plan-create.ts';
import { isConnected, type VolumeReport } from './volume-report.ts';

/** What an operator has agreed to, on its way through both nodes. */
export interface CreateOrder {
  readonly id: string;
  readonly plan: Exclude<CreatePlan, { kind: 'refuse' }>;
  readonly force: boolean;
  /** The node that makes the file system: the first of the pair. */
  readonly first: string;
  /** Steps that are done, `node step`. */
  readonly done: readonly string[];
  readonly state: 'running' | 'done' | 'failed';
  readonly why: string;
  /** When it began, or a step was done last: milliseconds of the server's clock that only goes forward. */
  readonly since: number;
}

/** What a node is told to do: metadata on its disk, both copies declared equal, a file system. */
export type CreateStep = 'metadata' | 'clear' | 'format';

/** Milliseconds after which a node that is told something and does nothing makes the order fail. */
const orderPatience = 180_000;

/** The order after a node's report. */
export function advanceOrder(
  order: CreateOrder,
  node: string,
  report: VolumeReport,
  now: number,
): CreateOrder {
  if (order.state !== 'running') return order;
  const { order: said } = report;
  if (said?.id === order.id && said.state === 'failed') {
    return { ...order, state: 'failed', why: `${node}: ${said.step}: ${said.why}` };
  }
  const key = said ? `${node} ${said.step}` : '';
  const isNew = said?.id === order.id && said.state === 'done' && !order.done.includes(key);
  const done = isNew ? [...order.done, key] : order.done;
  const last = order.plan.kind === 'create' ? [`${order.first} format`] : metadataSteps(order);
  if (last.every((step) => done.includes(step))) return { ...order, done, state: 'done' };
  if (now - order.since > orderPatience) {
    return {
      ...order,
      done,
      state: 'failed',
      why: `no step within 3 minutes; ${whyOpen(order, done)}`,
    };
  }
  return { ...order, done, since: isNew ? now : order.since };
}

/** What an order that runs is about, in words; empty where it has ended. */
export function describeOrder(order: CreateOrder): string {
  if (order.state !== 'running') return '';
  const open = order.plan.overwrite
    .map(({ node }) => node)
    .filter((node) => !order.done.includes(`${node} metadata`));
  if (open.length > 0) return `metadata is written on ${open.join(', ')}`;
  return order.done.includes(`${order.first} clear`)
    ? `${order.first} makes the file system`
    : 'the two copies connect';
}

function whyOpen(order: CreateOrder, done: readonly string[]): string {
  const open = metadataSteps(order).filter((step) => !done.includes(step));
  if (open.length > 0) return `not done: ${open.join(', ')}`;
  return done.includes(`${order.first} clear`)
    ? `${order.first} did not make the file system`
    : 'the copies do not connect';
}

/** What the node shall do next for the order; undefined where it has nothing to do. */
export function stepFor(
  order: CreateOrder,
  node: string,
  report: VolumeReport,
): CreateStep | undefined {
  if (order.state !== 'running') return undefined;
  const isDone = (step: CreateStep) => order.done.includes(`${node} ${step}`);
  const overwrites = order.plan.overwrite.some((disk) => disk.node === node);
  if (overwrites && !isDone('metadata')) return 'metadata';
  if (order.plan.kind === 'join' || node !== order.first) return undefined;
  if (!metadataSteps(order).every((step) => order.done.includes(step))) return undefined;
  if (!isConnected(report)) return undefined;
  // Only two fresh copies may be declared equal.
  const isFresh = report.disk === 'Inconsistent' && report.peerDisk === 'Inconsistent';
  if (!isDone('clear')) return isFresh ? 'clear' : undefined;
  const isWhole = report.disk === 'UpToDate' && report.peerDisk === 'UpToDate';
  return isWhole && !isDone('format') ? 'format' : undefined;
}

function metadataSteps(order: CreateOrder): readonly string[] {
  return order.plan.overwrite.map(({ node }) => `${node} metadata`);
}
