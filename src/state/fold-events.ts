import type { MacAddress } from '../net/mac.ts';
import type { BootRecord } from './boots.ts';
import type { Event, Hardware, Stage, VrrpState } from './event.ts';

/** Stages that a run goes through by itself; `absent` and `silent` depend on who looks and when. */
export type RunStage = Exclude<Stage, 'absent' | 'silent'>;

/** One boot of a machine, from its firmware's first question on. Times are milliseconds since the epoch. */
export interface Run {
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
  /** Whether the warning is that it does not go on. */
  readonly stalled: boolean;
  /** When it followed to the set that it runs; 0 where it booted it. */
  readonly followedAt: number;
  /** The last set that it could not follow to, and why. */
  readonly refusedSet?: { readonly bootSet: string; readonly reason: string };
  /** What keepalived said last; absent on a node without VIPs. */
  readonly vrrp?: VrrpState;
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

/** Firmware, loader and initramfs speak only when a step is done, and the root may be slow to load. */
export const stalledAfter = 300_000;

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
    case 'proxy-answered':
      return foldDhcp(before, event);
    case 'address-taken': {
      const { address, warning } = event;
      return before && change(before, { address, ...(warning === undefined ? {} : { warning }) });
    }
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
    case 'dhcp-problem':
    case 'refused':
      return before && change(before, { warning: event.reason, stalled: false });
    case 'warning':
      return before && change(before, { warning: event.reason, stalled: event.stalled === true });
    case 'silent':
      return before && change(before, { silent: true });
    case 'followed':
      return before && foldFollowed(before, event);
    case 'follow-failed': {
      const { bootId, bootSet, reason } = event;
      if (before?.run.bootId !== bootId) return before;
      return change(heard(before, event), { refusedSet: { bootSet, reason } });
    }
    case 'follow-sent':
    case 'volume':
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
  event: Of<'dhcp-offered' | 'dhcp-acked' | 'proxy-answered'>,
): MachineState | undefined {
  // After a long pause the same question is another boot's.
  const paused = before !== undefined && event.at - before.run.heardAt > stalledAfter;
  const stage = paused ? undefined : before?.run.stage;
  // Beside another DHCP server the first answer goes out before the machine has an address.
  const facts = event.address === undefined ? {} : { address: event.address };
  switch (event.via) {
    case 'os':
      return before;
    case 'rolecall':
      if (stage === 'dhcp' || stage === 'loader') break;
      return change(begin(before, event, 'loader'), facts);
    case 'ipxe':
      // The ROM of a card is iPXE as our loader is: right after a loader was sent, it is that loader.
      if (stage === 'dhcp' || stage === 'loader') break;
      return change(begin(before, event, 'dhcp'), facts);
    case 'http':
    case 'pxe':
      if (stage === 'dhcp') break;
      return change(begin(before, event, 'dhcp'), facts);
  }
  return before && change(heard(before, event), facts);
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
  const switched = switchRun(before, event);
  const current = event.vrrp ? change(switched, { vrrp: event.vrrp }) : switched;
  if (event.stage === 'alive') return heard(current, event);
  return change(advance(current, event, event.stage), { reason: event.reason });
}

function foldFollowed(before: MachineState, event: Of<'followed'>): MachineState {
  if (before.run.bootId !== event.bootId) return before;
  const { refusedSet: _, ...run } = before.run;
  const followed = { ...before, run: { ...run, bootSet: event.bootSet, followedAt: event.at } };
  return heard(followed, event);
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
    stalled: false,
    followedAt: 0,
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
    ...(run.stalled ? { warning: '', stalled: false } : {}),
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

/**
 * The machines with what boots tell and the log does not: `alive` is not kept there, and a killed server
 * loses the events of its last moment, while a boot and its stage are on disk at once; and machines wait and run
 * longer than the log is. Oldest boot first.
 */
export function rememberBoots(machines: Machines, boots: Iterable<BootRecord>): Machines {
  const after = new Map(machines);
  const said = new Map<MacAddress, Hardware>();
  for (const boot of boots) {
    if (boot.hardware) said.set(boot.machine, boot.hardware);
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
    after.set(boot.machine, change(state, { heardAt, bootSet: boot.runs.digest }));
  }
  for (const [machine, hardware] of said) {
    const state = after.get(machine);
    if (state && !state.hardware) after.set(machine, { ...state, hardware });
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
