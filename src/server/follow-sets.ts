import { readFile } from 'node:fs/promises';
import type { BootSet } from '../boot/boot-set.ts';
import { identifyMachine, spareName } from '../boot/identify-machine.ts';
import { type FollowPlan, planFollow } from '../boot/plan-follow.ts';
import { recallIdentity } from '../boot/recall-identity.ts';
import type { Digest } from '../digest.ts';
import { rolesOf, spareNode } from '../roles/fleet.ts';
import type { OverlayFile } from '../roles/overlay-file.ts';
import { readOverlay } from '../roles/read-overlay.ts';
import type { SiteNode } from '../site/site.ts';
import type { BootRecord } from '../state/boots.ts';
import type { MachineState } from '../state/fold-events.ts';
import { type FollowDue, isSilent } from '../state/node-status.ts';
import type { State } from '../state/state.ts';
import { type PairMember, partnersOf, whyWait } from './follow-order.ts';
import type { Generation } from './generation.ts';
import type { Journal } from './journal.ts';
import { describePlan, renderSteps } from './render-follow.ts';

/** Brings running nodes to the sets that they would boot. */
export interface Follower {
  /** The set that the node of this boot is to follow to now; undefined where it stays as it is. */
  next(record: BootRecord): Promise<Digest | undefined>;
  /** Its agent said how following ended; what is due then is known when this resolves. */
  ended(bootId: string): Promise<void>;
  /** What the agent does to follow from the set that it runs to this one; undefined where it was not told to. */
  steps(record: BootRecord, set: Digest): Promise<string | undefined>;
  /** Of the node of this boot; undefined where it has nothing to do. */
  due(bootId: string): FollowDue | undefined;
  /** Looks at every node that it knows once more, as after an edit of the site. */
  look(): Promise<void>;
}

export interface FollowerParts {
  readonly state: Pick<State, 'boots' | 'overlays' | 'known'>;
  readonly journal: Journal;
  readonly generation: () => Generation;
  readonly now: () => number;
}

/** Milliseconds after which a node that was told to follow, and does not say how it ended, holds up nobody. */
const longestFollowing = 180_000;

/** Milliseconds: every report that comes later after a node followed was measured after it. */
const provenAfter = 9000;

/** A follower that knows nothing yet: each node says with its reports what it runs. */
export function createFollower(parts: FollowerParts): Follower {
  const { state, journal, generation, now } = parts;
  const dues = new Map<string, FollowDue>();
  const following = new Map<string, { readonly set: Digest; readonly since: number }>();
  let plans = { generation: 0, byPair: new Map<string, Promise<FollowPlan>>() };

  async function filesOf(set: BootSet): Promise<readonly OverlayFile[] | undefined> {
    const file = state.overlays.file(set.overlay.digest);
    return file && readOverlay(await readFile(file.path));
  }

  async function plan(node: SiteNode, from: BootSet, to: BootSet): Promise<FollowPlan> {
    const [before, after] = [await filesOf(from), await filesOf(to)];
    if (!before || !after) {
      return { kind: 'reboot', changes: [], reasons: ['the files of what it runs are not kept'] };
    }
    const rules = rolesOf(generation().fleet, node).flatMap((role) => role.reload);
    return planFollow({ set: from, files: before }, { set: to, files: after }, rules);
  }

  /** Each pair of sets is compared once in a generation, however many reports come. */
  function planOnce(node: SiteNode, from: BootSet, to: BootSet): Promise<FollowPlan> {
    const { number } = generation();
    if (plans.generation !== number) plans = { generation: number, byPair: new Map() };
    const key = `${from.digest} ${to.digest}`;
    const known = plans.byPair.get(key) ?? plan(node, from, to);
    plans.byPair.set(key, known);
    // What a disk did not give up is read anew for the next report.
    known.catch(() => plans.byPair.delete(key));
    return known;
  }

  /** The node that a machine is by today's role files, where that is what it booted as. */
  function nodeOf({ machine, node }: BootRecord): SiteNode | undefined {
    const { site } = generation().fleet;
    const today = identifyMachine(site, recallIdentity({ mac: machine }, state.known.of(machine)));
    if (today.kind === 'node') return today.node.name === node ? today.node : undefined;
    return today.kind === 'spare' && spareName(machine) === node
      ? spareNode(node, machine)
      : undefined;
  }

  async function targetOf(node: SiteNode): Promise<BootSet | undefined> {
    const prepared = await generation().bootSet(node);
    return prepared.ok ? prepared.set : undefined;
  }

  async function describe(record: BootRecord) {
    const node = nodeOf(record);
    const target = node && (await targetOf(node));
    if (!node || !target || target.digest === record.runs.digest) return undefined;
    const found = await planOnce(node, record.runs, target);
    const refused = runOf(record)?.refusedSet;
    const refusal = refused?.bootSet === target.digest ? refused.reason : '';
    return { node, target, plan: found, refusal };
  }

  function runOf({ machine, bootId }: BootRecord) {
    const run = journal.machines().get(machine)?.run;
    return run?.bootId === bootId ? run : undefined;
  }

  function isFollowing(bootId: string): boolean {
    const begun = following.get(bootId);
    return begun !== undefined && Math.abs(now() - begun.since) < longestFollowing;
  }

  async function member(name: string): Promise<PairMember> {
    const states = [...journal.machines().values()].filter((m) => m.run.node === name);
    const newest = states.toSorted((a, b) => b.run.heardAt - a.run.heardAt)[0];
    const record = newest && state.boots.get(newest.run.bootId);
    const found = record && (await describe(record));
    return {
      name,
      stage: newest ? stageOf(newest) : 'absent',
      fault: faultOf(newest?.run),
      ...(newest?.run.vrrp ? { vrrp: newest.run.vrrp } : {}),
      due: !found ? 'nothing' : found.plan.kind,
      isFollowing: record !== undefined && isFollowing(record.bootId),
      isProven: newest !== undefined && isProven(newest),
      refusal: found?.refusal ?? '',
    };
  }

  function stageOf({ run }: MachineState): PairMember['stage'] {
    const look = { now: now(), listeningSince: journal.listeningSince };
    return isSilent(run, look) ? 'silent' : run.stage;
  }

  /** What the node has to do; `wait` where it is not its turn. */
  async function lookAt(record: BootRecord): Promise<{ set: BootSet; means: string } | undefined> {
    const found = await describe(record);
    const { bootId } = record;
    if (!found) {
      dues.delete(bootId);
      return undefined;
    }
    const { node, target, plan, refusal } = found;
    const owe = (kind: FollowDue['kind'], reason: string) => {
      dues.set(bootId, { bootSet: target.digest, kind, reason });
      return undefined;
    };
    const means = describePlan(plan);
    if (plan.kind === 'reboot') return owe('reboot', `it needs a reboot: ${means}`);
    if (refusal !== '') {
      return owe('reload', `it did not follow (${refusal}): mend the site, or undo its last edit`);
    }
    const partners = await Promise.all(partnersOf(generation().fleet.site, node.name).map(member));
    const run = runOf(record);
    const me = {
      ...{ name: node.name, fault: faultOf(run), actsOnUnits: plan.actions.length > 0 },
      ...(run?.vrrp ? { vrrp: run.vrrp } : {}),
    };
    const why = whyWait(me, partners);
    if (why !== undefined) {
      const look = `rolecall plan ${node.name} shows it line by line`;
      return owe('reload', `waits to follow: ${why}; then ${means} (${look})`);
    }
    owe('reload', `follows: ${means}`);
    return { set: target, means };
  }

  return {
    async next(record) {
      const found = await lookAt(record);
      if (!found) return undefined;
      const { set, means } = found;
      const { bootId, machine, node } = record;
      if (record.offered !== set.digest) state.boots.offer(bootId, set);
      if (following.get(bootId)?.set !== set.digest || !isFollowing(bootId)) {
        journal.add({ machine, node, kind: 'follow-sent', bootSet: set.digest, means });
        following.set(bootId, { set: set.digest, since: now() });
      }
      return set.digest;
    },
    async ended(bootId) {
      following.delete(bootId);
      const record = state.boots.get(bootId);
      if (record) await lookAt(record);
      else dues.delete(bootId);
    },
    async steps(record, digest) {
      const node = nodeOf(record);
      const set = record.offered === digest ? state.boots.set(digest) : undefined;
      if (!node || !set) return undefined;
      const found = await planOnce(node, record.runs, set);
      return found.kind === 'follow' ? renderSteps(set, found) : undefined;
    },
    due: (bootId) => dues.get(bootId),
    async look() {
      for (const bootId of dues.keys()) {
        const record = state.boots.get(bootId);
        if (record && runOf(record)) await lookAt(record);
        else dues.delete(bootId);
      }
    },
  };
}

function faultOf(run: MachineState['run'] | undefined): string {
  return run?.stage === 'failed' ? run.reason : '';
}

function isProven({ run }: MachineState): boolean {
  // The clock may have been set back.
  return run.followedAt === 0 || Math.abs(run.heardAt - run.followedAt) > provenAfter;
}
