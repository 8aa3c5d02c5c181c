import { type Site, selectNodes } from '../site/site.ts';
import type { Stage, VrrpState } from '../state/event.ts';

/** A node as those see it with which it shares an address. */
export interface PairMember {
  readonly name: string;
  readonly stage: Stage;
  /** What does not work on it, as it says; empty where nothing. */
  readonly fault: string;
  /** Absent where keepalived said nothing. */
  readonly vrrp?: VrrpState;
  /** What it has yet to do to run its own newest set. */
  readonly due: 'nothing' | 'follow' | 'reboot';
  /** Whether it was told to follow and has not said how that ended. */
  readonly isFollowing: boolean;
  /** Whether its service was looked at since it followed. */
  readonly isProven: boolean;
  /** Why it did not follow; empty where it did. */
  readonly refusal: string;
}

/** Nodes of which one takes over from another: the balancers of a service, the pair of a volume. */
export function partnersOf(site: Site, node: string): readonly string[] {
  const groups = [
    ...[...site.services.values()].map(({ balancers }) => selectNodes(site, balancers)),
    ...[...site.volumes.values()].map(({ nodes }) => nodes),
  ];
  const partners = groups.filter((group) => group.includes(node)).flat();
  return [...new Set(partners)].filter((name) => name !== node).sort();
}

/** A node that has something to follow to. */
interface Waiting extends Pick<PairMember, 'name' | 'vrrp' | 'fault'> {
  /** Whether following reloads or restarts a unit, so that what it serves may fall. */
  readonly actsOnUnits: boolean;
}

/**
 * Why a node must wait with following; undefined where it may. One at a time, the backup first, and the master
 * only when every backup runs its own newest set and works, or says of itself only what the master says too: a
 * service whose servers are dead is dead on both. A partner that was never heard of backs up nothing. Where
 * following acts on no unit, as a new list of a volume's clients does not, nobody need be able to take over: a
 * partner that is dead, boots, fails or needs a reboot is not waited for, and one that works still goes first.
 */
export function whyWait(me: Waiting, partners: readonly PairMember[]): string | undefined {
  const others = partners.filter(
    ({ stage }) => stage !== 'absent' && (me.actsOnUnits || isRunning(stage)),
  );
  for (const other of others) {
    if (other.isFollowing) return `${other.name} follows now`;
  }
  for (const other of others.filter((partner) => goesBefore(partner, me))) {
    if (other.refusal !== '') {
      return `${other.name} did not follow (${other.refusal})`;
    }
    if (other.stage === 'silent') {
      return `${other.name} is silent: nobody could take over; start it, or take it out of the site`;
    }
    if (other.due === 'follow') return `${other.name} goes first`;
    if (other.due === 'reboot' && me.actsOnUnits) {
      return `${other.name} goes first and needs a reboot`;
    }
    const isAlike = other.stage === 'failed' && other.fault !== '' && other.fault === me.fault;
    if (other.stage !== 'ready' && !isAlike && me.actsOnUnits)
      return `${other.name} goes first and is not ready (${other.stage})`;
    if (!other.isProven) return `${other.name} followed, and has yet to show that it works`;
  }
  return undefined;
}

/** Whether its agent can follow. */
function isRunning(stage: Stage): boolean {
  return stage === 'ready' || stage === 'failed';
}

/** The later the higher; of two equal ones the name decides, as derived priorities fall with it. */
function goesBefore(
  a: Pick<PairMember, 'name' | 'vrrp' | 'stage'>,
  b: Pick<PairMember, 'name' | 'vrrp'>,
) {
  const ranks = { fault: 0, backup: 0, master: 2 } as const;
  const rank = ({ vrrp }: Pick<PairMember, 'vrrp'>) => (vrrp === undefined ? 1 : ranks[vrrp]);
  // A master that has fallen silent is none any more.
  const [first, second] = [a.stage === 'silent' ? 0 : rank(a), rank(b)];
  return first === second ? a.name > b.name : first < second;
}
