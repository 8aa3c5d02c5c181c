import { type MachineIdentity, spareName } from '../boot/identify-machine.ts';
import type { MacAddress } from '../net/mac.ts';
import { bootLink, type Site, type SiteNode } from '../site/site.ts';
import type { BootRecord } from './boots.ts';
import type { Event, Hardware, NodeStatus, Stage } from './event.ts';

/** Stages that a run goes through by itself; `absent` and `silent` depend on who looks and when. */
export type RunStage = Exclude<Stage, 'absent' | 'silent'>;

/** One boot of a machine, from its firmware's first question on. Times are milliseconds since the epoch. */
interface Run {
  /** Name when it began. */
  readonly node: string;
  /** Empty until its script was sent. */
  readonly bootId: string;
  readonly roles: readonly string[];
  readonly bootSet: string;
  readonly image: string;
  readonly address: string;
  readonly stage: RunStage;
  /** When it came to its stage first. */
  readonly since: number;
  readonly startedAt: number;
  /** Last sign of it. */
  readonly heardAt: number;
  /** Whether its silence was noticed, and no sign came since. */
  readonly silent: boolean;
  /** Why it failed; empty where it did not. */
  readonly reason: string;
  /** What to mind; empty where nothing. */
  readonly warning: string;
  /** When it came to each stage, in order. */
  readonly steps: readonly { readonly stage: RunStage; readonly at: number }[];
}

/** What is known of one machine: the fold of its events. */
export interface MachineState {
  readonly machine: MacAddress;
  readonly run: Run;
  /** Earlier runs, newest first; a report from one of them shows that the machine still runs it. */
  readonly earlier: readonly Run[];
  readonly hardware?: Hardware;
}

/** Every machine ever heard of and not forgotten, by its MAC. */
export type Machines = ReadonlyMap<MacAddress, MachineState>;

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
}

/** Who looks, and when. Milliseconds since the epoch. */
export interface Look {
  readonly now: number;
  /** Since when the server has been listening: nobody is silent for want of a listener. */
  readonly listeningSince: number;
}

/** Nodes report every 10 s; three missing reports are silence. Milliseconds. */
const silentAfter = 30_000;

/** Firmware, loader and initramfs speak only when a step is done, and the root may be slow to load. */
const stalledAfter = 300_000;

const earlierKept = 3;

/** The machines after all these events. */
export function foldEvents(events: Iterable<Event>): Machines {
  const machines = new Map<MacAddress, MachineState>();
  for (const event of events) {
    const after = foldMachine(machines.get(event.machine), event);
    if (after) machines.set(event.machine, after);
  }
  return machines;
}

/** One machine after one more event of it; undefined while nothing shows that it boots from here. */
export function foldMachine(
  before: MachineState | undefined,
  event: Event,
): MachineState | undefined {
  switch (event.kind) {
    case 'dhcp-offered':
    case 'dhcp-acked':
      return foldDhcp(before, event);
    case 'loader-sent':
      if (before?.run.stage === 'dhcp') return advance(before, event, 'loader');
      if (before?.run.stage === 'loader') return heard(before, event);
      return begin(before, event, 'loader');
    case 'script-sent': {
      const facts = {
        node: event.node,
        bootId: event.bootId,
        roles: event.roles,
        bootSet: event.bootSet,
        image: event.image,
        address: event.address,
      };
      const under = before?.run.bootId === '' ? before : begin(before, event, 'script');
      return change(advance(under, event, 'script'), facts);
    }
    case 'stage':
      return foldReport(before, event);
    case 'blob-sent':
      return before && heard(before, event);
    case 'hardware':
      return before && { ...heard(before, event), hardware: event.hardware };
    case 'dhcp-refused':
    case 'warning':
    case 'refused':
      return before && change(before, { warning: event.reason });
    case 'silent':
      return before && change(before, { silent: true });
    case 'role-changed':
      return before;
  }
}

type Of<K extends Event['kind']> = Extract<Event, { kind: K }>;

/**
 * Firmware that asks has just been powered on. An operating system asks too, to keep its address,
 * and a loader may ask once more: those two begin nothing.
 */
function foldDhcp(
  before: MachineState | undefined,
  event: Of<'dhcp-offered'> | Of<'dhcp-acked'>,
): MachineState | undefined {
  // After a long pause the same question is another boot's.
  const paused = before !== undefined && event.at - before.run.heardAt > stalledAfter;
  const stage = paused ? undefined : before?.run.stage;
  switch (event.via) {
    case 'os':
      return before;
    case 'rolecall':
      if (stage === 'dhcp' || stage === 'loader') break;
      return change(begin(before, event, 'loader'), { address: event.address });
    case 'ipxe':
      // The ROM of a card is iPXE as our loader is: right after a loader was sent, it is that loader.
      if (stage === 'dhcp' || stage === 'loader') break;
      return change(begin(before, event, 'dhcp'), { address: event.address });
    case 'http':
    case 'pxe':
      if (stage === 'dhcp') break;
      return change(begin(before, event, 'dhcp'), { address: event.address });
  }
  return before && change(heard(before, event), { address: event.address });
}

function foldReport(
  before: MachineState | undefined,
  event: Of<'stage'>,
): MachineState | undefined {
  if (!before) {
    if (event.stage === 'alive') return undefined;
    const fresh = begin(undefined, event, event.stage);
    return change(fresh, { bootId: event.bootId, reason: event.reason });
  }
  const current = switchRun(before, event);
  if (event.stage === 'alive') return heard(current, event);
  return change(advance(current, event, event.stage), { reason: event.reason });
}

/** A machine runs what it reports from, whatever was sent to its address meanwhile. */
function switchRun(before: MachineState, event: Of<'stage'>): MachineState {
  if (before.run.bootId === event.bootId) return before;
  const run = before.earlier.find((r) => r.bootId === event.bootId);
  if (!run) {
    return event.stage === 'alive'
      ? before
      : change(begin(before, event, event.stage), { bootId: event.bootId });
  }
  const rest = before.earlier.filter((r) => r !== run);
  return { ...before, run, earlier: [before.run, ...rest].slice(0, earlierKept) };
}

function begin(before: MachineState | undefined, event: Event, stage: RunStage): MachineState {
  const run: Run = {
    node: event.node,
    bootId: '',
    roles: [],
    bootSet: '',
    image: '',
    address: before?.run.address ?? '',
    stage,
    since: event.at,
    startedAt: event.at,
    heardAt: event.at,
    silent: false,
    reason: '',
    warning: '',
    steps: [{ stage, at: event.at }],
  };
  // A question that led to no boot is not worth remembering.
  const earlier = before ? [before.run, ...before.earlier].filter((r) => r.bootId !== '') : [];
  return {
    machine: event.machine,
    run,
    earlier: earlier.slice(0, earlierKept),
    ...(before?.hardware ? { hardware: before.hardware } : {}),
  };
}

function advance(before: MachineState, event: Event, stage: RunStage): MachineState {
  const { run } = before;
  if (run.stage === stage) return heard(before, event);
  return change(before, {
    stage,
    since: event.at,
    heardAt: event.at,
    silent: false,
    reason: '',
    steps: keepEnds([...run.steps, { stage, at: event.at }]),
  });
}

/** The steps of the boot itself, and the latest of a service that fails and recovers again and again. */
function keepEnds(steps: Run['steps']): Run['steps'] {
  return steps.length <= 20 ? steps : [...steps.slice(0, 8), ...steps.slice(-12)];
}

function heard(before: MachineState, event: Event): MachineState {
  return change(before, { heardAt: event.at, silent: false });
}

function change(before: MachineState, facts: Partial<Run>): MachineState {
  return { ...before, run: { ...before.run, ...facts } };
}

/** Whether nothing was heard of a run for too long. */
function isSilent(run: Run, look: Look): boolean {
  if (run.silent) return true;
  const patience = run.stage === 'ready' || run.stage === 'failed' ? silentAfter : stalledAfter;
  return look.now - Math.max(run.heardAt, look.listeningSince) > patience;
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
 * The machines with what boots tell and the log does not: `alive` is not kept there, and a killed server
 * loses the events of its last moment, while a boot and its stage are on disk at once. Oldest boot first.
 */
export function rememberBoots(machines: Machines, boots: Iterable<BootRecord>): Machines {
  const after = new Map(machines);
  for (const boot of boots) {
    let state = after.get(boot.machine);
    const runs = state ? [state.run, ...state.earlier] : [];
    const isKnown = runs.some((r) => r.bootId === boot.bootId);
    if (!isKnown && boot.createdAt >= (state?.run.startedAt ?? 0)) {
      state = foldMachine(state, scriptSent(boot));
    }
    if (state?.run.bootId !== boot.bootId) continue;
    const { lastStage: stage, lastReportAt: at } = boot;
    if (stage !== '' && stage !== state.run.stage && at !== null && at >= state.run.since) {
      const lost = { kind: 'stage', bootId: boot.bootId, stage, reason: '', uptime: 0 } as const;
      state = foldMachine(state, { at, machine: boot.machine, node: boot.node, ...lost }) ?? state;
    }
    const heardAt = Math.max(state.run.heardAt, at ?? 0);
    after.set(boot.machine, change(state, { heardAt }));
  }
  return after;
}

function scriptSent(boot: BootRecord): Event {
  return {
    at: boot.createdAt,
    machine: boot.machine,
    node: boot.node,
    kind: 'script-sent',
    bootId: boot.bootId,
    bootSet: boot.set.digest,
    image: boot.set.image,
    roles: boot.set.roles,
    address: boot.address,
  };
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
  const last = `${run.stage}${run.reason ? `: ${run.reason}` : ''}`;
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
