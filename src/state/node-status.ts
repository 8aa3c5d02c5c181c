import { type MachineIdentity, spareName } from '../boot/identify-machine.ts';
import type { MacAddress } from '../net/mac.ts';
import { bootLink, type Site, type SiteNode } from '../site/site.ts';
import type { Hardware, NodeStatus, Stage } from './event.ts';
import {
  type MachineState,
  type Machines,
  type Run,
  type RunStage,
  stalledAfter,
} from './fold-events.ts';

/** A node's status with what the console shows besides. */
export interface NodeDetail extends NodeStatus {
  /** Whether no role file names it. */
  readonly spare: boolean;
  /** The stage before it failed or fell silent; else the stage itself. */
  readonly reached: Stage;
  readonly steps: readonly { readonly stage: RunStage; readonly at: string }[];
  /** ISO 8601; empty where it was never heard of. */
  readonly lastSeen: string;
  readonly bootId: string;
  /** Roles after its next boot, where they differ from those it runs. */
  readonly nextRole?: readonly string[];
  readonly hardware?: Hardware;
  /** What it has yet to do to run its newest set; absent where it runs that, or runs nothing. */
  readonly due?: FollowDue;
  /** The switch port that it asks from, as `id: {port: …}` of a role file spells it. */
  readonly port?: string;
  /** What its role file knows it by: `MAC 52:54:…`, `UUID …`, `serial number …`, `switch port …`; absent for a spare. */
  readonly knownBy?: readonly string[];
}

/** What a running node has yet to do to be what its site says. */
export interface FollowDue {
  /** The set that it is to run. */
  readonly bootSet: string;
  readonly kind: 'reload' | 'reboot';
  /** What that means, or why it does not happen now, in an operator's words. */
  readonly reason: string;
}

/** Who looks, and when. Milliseconds since the epoch. */
export interface Look {
  readonly now: number;
  /** Since when the server has been listening by the clock of now: nobody is silent for want of a listener. */
  readonly listeningSince: number;
}

/** Nodes report every 10 s; three missing reports are silence. Milliseconds. */
const silentAfter = 30_000;

/** Whether nothing was heard of a run for too long. */
export function isSilent(run: Run, look: Look): boolean {
  if (run.silent) return true;
  const patience = run.stage === 'ready' || run.stage === 'failed' ? silentAfter : stalledAfter;
  // What was heard far in the future was heard before the clock was set back: nobody knows how long ago.
  const isLately = (at: number) => Math.abs(look.now - at) <= patience;
  return !isLately(run.heardAt) && !isLately(look.listeningSince);
}

/** Machines that have fallen silent and whose silence no event tells of yet. */
export function newlySilent(machines: Machines, look: Look): readonly MachineState[] {
  return [...machines.values()].filter((m) => !m.run.silent && isSilent(m.run, look));
}

/** Machines to forget: those that asked once and never booted after an hour, others after `maxAge` milliseconds of nothing. */
export function forgettable(
  machines: Machines,
  now: number,
  maxAge: number,
): readonly MacAddress[] {
  const patience = ({ run, earlier }: MachineState) =>
    run.bootId === '' && earlier.length === 0 ? 3_600_000 : maxAge;
  return [...machines.values()]
    .filter((m) => now - m.run.heardAt > patience(m))
    .map((m) => m.machine);
}

/**
 * Where every node of the site stands, sorted by name, then every spare. A node that was never heard of is `absent`;
 * one whose machine still runs as a spare is too, and its reason says so.
 */
export function statusOf(site: Site, machines: Machines, look: Look): readonly NodeDetail[] {
  const owners = new Map<MacAddress, SiteNode | undefined>();
  for (const state of machines.values()) owners.set(state.machine, ownerOf(site, state));
  const nodes = [...site.nodes.values()].map((node) => {
    const own = [...machines.values()].filter((m) => owners.get(m.machine) === node);
    // A node with several cards may have booted by each of them.
    const newest = own.toSorted((a, b) => b.run.heardAt - a.run.heardAt)[0];
    return nodeDetail(site, node, newest, look);
  });
  const spares = [...machines.values()]
    .filter((m) => !owners.get(m.machine))
    .filter((m) => site.unknown === 'spare' || m.run.bootId !== '')
    .map((m) => spareDetail(m, look));
  const byName = (a: NodeDetail, b: NodeDetail) => (a.name < b.name ? -1 : 1);
  return [...nodes.toSorted(byName), ...spares.toSorted(byName)];
}

/** The node that a machine is by today's role files: by its MAC, by what its hardware says, or by the name it had. */
function ownerOf(site: Site, state: MachineState): SiteNode | undefined {
  const nodes = [...site.nodes.values()];
  const identity: MachineIdentity = {
    mac: state.machine,
    ...(state.hardware?.uuid ? { uuid: state.hardware.uuid.toLowerCase() } : {}),
    ...(state.hardware?.serial ? { serial: state.hardware.serial } : {}),
  };
  return (
    nodes.find((n) => n.id.macs.includes(identity.mac)) ??
    nodes.find((n) => identity.uuid !== undefined && n.id.uuid === identity.uuid) ??
    nodes.find((n) => identity.serial !== undefined && n.id.serial === identity.serial) ??
    // Known by UUID, serial number or port, which the boot learned and the events do not carry.
    nodes.find((n) => n.name === state.run.node && (n.id.uuid ?? n.id.serial ?? n.id.port))
  );
}

function nodeDetail(
  site: Site,
  node: SiteNode,
  state: MachineState | undefined,
  look: Look,
): NodeDetail {
  const planned = {
    name: node.name,
    role: node.roles,
    mac: node.id.macs,
    address: bootLink(site, node)?.address ?? '',
    spare: false,
    knownBy: marksOf(node.id),
    ...(state?.hardware ? { hardware: state.hardware } : {}),
  };
  if (!state) return { ...planned, ...nothingSeen, reason: '' };
  const detail = runDetail(state, look);
  const { run } = state;
  if (run.bootId !== '' && run.node !== node.name) {
    const soon = detail.stage === 'silent' ? '' : '; it reboots by itself';
    return {
      ...planned,
      ...nothingSeen,
      mac: macsOf(planned.mac, state),
      lastSeen: detail.lastSeen,
      reason: run.node.startsWith('spare-')
        ? `${state.machine} still runs as spare (${detail.stage})${soon}`
        : `${state.machine} still runs as ${run.node} (${detail.stage}); reboot it`,
    };
  }
  const running = run.bootId !== '' && run.roles.length > 0 ? run.roles : node.roles;
  const changes = !sameList(running, node.roles);
  return {
    ...planned,
    ...detail,
    role: running,
    mac: macsOf(planned.mac, state),
    address: run.address || planned.address,
    ...(changes ? { nextRole: node.roles } : {}),
    reason: [detail.reason, changes ? `becomes ${node.roles.join(', ')} at its next boot` : '']
      .filter((part) => part !== '')
      .join('; '),
  };
}

function marksOf({ macs, uuid, serial, port }: SiteNode['id']): readonly string[] {
  return [
    ...macs.map((mac) => `MAC ${mac}`),
    ...(uuid === undefined ? [] : [`UUID ${uuid}`]),
    ...(serial === undefined ? [] : [`serial number ${serial}`]),
    ...(port === undefined ? [] : [`switch port ${port}`]),
  ];
}

function spareDetail(state: MachineState, look: Look): NodeDetail {
  const { run } = state;
  const detail = runDetail(state, look);
  const orphan = run.bootId !== '' && !run.node.startsWith('spare-');
  const note = orphan ? `still runs as ${run.node}, which no role file gives it any more` : '';
  return {
    ...detail,
    name: spareName(state.machine),
    role: run.roles.length > 0 ? run.roles : ['spare'],
    mac: [state.machine],
    address: run.address,
    spare: true,
    ...(state.hardware ? { hardware: state.hardware } : {}),
    reason: [detail.reason, note].filter((part) => part !== '').join('; '),
  };
}

const nothingSeen = {
  stage: 'absent',
  reached: 'absent',
  since: '',
  lastSeen: '',
  steps: [],
  bootSet: '',
  image: '',
  bootId: '',
} as const;

function runDetail({ run }: MachineState, look: Look) {
  const silent = isSilent(run, look);
  const reached = run.steps.findLast((s) => s.stage !== 'failed')?.stage ?? run.stage;
  const words = run.stage === 'ready' || run.stage === 'failed' ? run.stage : `at ${run.stage}`;
  const last = `${words}${run.reason ? `: ${run.reason}` : ''}`;
  return {
    stage: silent ? 'silent' : run.stage,
    reached: run.stage === 'failed' ? reached : run.stage,
    since: iso(silent ? run.heardAt : run.since),
    lastSeen: iso(run.heardAt),
    steps: run.steps.map(({ stage, at }) => ({ stage, at: iso(at) })),
    bootSet: run.bootSet,
    image: run.image,
    bootId: run.bootId,
    reason: silent ? `no report since; it was ${last}` : run.reason || run.warning,
  } as const;
}

function iso(at: number): string {
  return new Date(at).toISOString();
}

function macsOf(macs: readonly string[], state: MachineState): readonly string[] {
  return macs.includes(state.machine) ? macs : [...macs, state.machine];
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}

/** The row of `node ls`, nothing besides. */
export function toNodeStatus(detail: NodeDetail): NodeStatus {
  const { name, role, mac, address, stage, since, bootSet, image, reason } = detail;
  return { name, role, mac, address, stage, since, bootSet, image, reason };
}
