import { isConnected, type VolumeReport } from './volume-report.ts';

/** Milliseconds for which a node may lead a volume after the server heard it. */
export const leaseTime = 5000;

/** Milliseconds that a lease is over before a node takes a volume from a leader to which it is connected. */
const takeOverAfter = 10_000;

/** Milliseconds in which a machine that has just booted may still find its peer. */
const peerPatience = 15_000;

/** Milliseconds after which a node that does not report is not waited for. */
const deafAfter = 4000;

/** Who may lead a volume, and whose copy is known to be older. */
export interface Lease {
  /** By its boot: what a machine was allowed before it fell does not hold for it afterwards. */
  readonly holder?: { readonly node: string; readonly bootId: string };
  /** When it ends, milliseconds of a clock that only goes forward. */
  readonly until: number;
  /** The node whose copy lacks what was written without it, and the request that said so. */
  readonly outdated?: { readonly node: string; readonly bootId: string; readonly at: number };
  /** The boot that gave the lease back last. */
  readonly releasedBy?: string;
}

/** The lease of a volume that nobody has led. */
export const freeLease: Lease = { until: 0 };

/**
 * The lease after the server's start: its clock began anew, so whoever held it may still believe in it for
 * a whole term.
 */
export function afterRestart(lease: Lease, now: number): Lease {
  return { ...lease, until: lease.holder ? now + leaseTime : 0 };
}

/** The node that asks, and what the server has heard of the pair. */
export interface Claim {
  readonly node: string;
  readonly bootId: string;
  readonly peer: string;
  /** Whether the site lists the node first. */
  readonly isFirst: boolean;
  readonly report: VolumeReport;
  /** Milliseconds since this boot of the node was heard first. */
  readonly heardFor: number;
  /** Whether it was connected to its peer in this boot. */
  readonly wasConnected: boolean;
  /** The peer's last report and its age in milliseconds. */
  readonly peerReport?: { readonly report: VolumeReport; readonly age: number };
}

export interface LeaseDecision {
  readonly lease: Lease;
  /** Whether the lease must be on disk before the answer leaves. */
  readonly isDurable: boolean;
  readonly isGranted: boolean;
  /** Why not; empty where it is granted. */
  readonly why: string;
  /** The node shall mark its own copy as outdated, so that its kernel knows too. */
  readonly outdate: boolean;
  /** The node shall cut the replication: its peer still leads, but nobody reaches it. */
  readonly disconnect: boolean;
  /** Milliseconds after which another answer is due; undefined where no time alone brings one. */
  readonly again?: number;
}

/**
 * Who leads a volume. A lease has one holder at a time; another one gets it only when it is over, by the
 * server's clock, which reads later than the holder's, as the holder counts from before it asked. A node
 * that goes on without its peer says so first, and from then on the peer's copy counts as older: it gets
 * no lease until the holder has seen it up to date. So who has said so and is still alone leads on when its
 * lease has ended unanswered: there is nobody else.
 */
export function decideLease(before: Lease, claim: Claim, now: number): LeaseDecision {
  const { node, bootId, peer, report } = claim;
  let lease = forgetOutdated(before, claim, now);
  const isHolder = lease.holder?.bootId === bootId;
  if (report.release && isHolder) {
    lease = { ...without(lease, 'holder'), until: 0, releasedBy: bootId };
    return refuse(before, lease, 'it gave the lease back');
  }
  if (lease.outdated?.node === node) {
    return {
      ...refuse(before, lease, `its copy is older than that of ${peer}`),
      outdate: !isConnected(report) && report.disk !== '' && report.disk !== 'Outdated',
    };
  }
  if (lease.holder && !isHolder && now < lease.until) {
    const again = lease.until - now;
    return { ...refuse(before, lease, `${lease.holder.node} holds the lease`), again };
  }
  const refusal = isHolder || report.fence ? '' : refusalOf(lease, claim, now);
  if (refusal !== '') return refuse(before, lease, refusal);
  const takesOver = !isHolder && isConnected(report) && report.peerRole === 'Primary';
  const granted: Lease = {
    ...without(lease, 'releasedBy'),
    holder: { node, bootId },
    until: now + leaseTime,
    ...(report.fence ? { outdated: { node: peer, bootId, at: report.at } } : {}),
  };
  return {
    lease: granted,
    isDurable: differs(before, granted),
    isGranted: true,
    why: '',
    outdate: false,
    disconnect: takesOver && !report.fence,
  };
}

/** Why a node does not become the leader of a volume that is free; empty where it does. */
function refusalOf(lease: Lease, claim: Claim, now: number): string {
  const { report, peer, bootId } = claim;
  if (report.connection === '') return 'its copy is not up';
  if (report.role === 'Primary') return '';
  if (report.disk !== 'UpToDate' && report.disk !== 'Consistent') {
    return `its copy is ${report.disk}`;
  }
  if (!isConnected(report)) {
    if (claim.wasConnected || claim.heardFor > peerPatience) return '';
    return `it waits for ${peer}`;
  }
  if (report.peerRole === 'Primary') {
    return now - lease.until > takeOverAfter && claim.heardFor > takeOverAfter
      ? ''
      : `${peer} leads`;
  }
  const { peerReport } = claim;
  const isPeerFit =
    peerReport !== undefined && peerReport.age < deafAfter && peerReport.report.disk === 'UpToDate';
  if (!isPeerFit) return '';
  if (lease.releasedBy !== undefined) {
    return lease.releasedBy === bootId ? `it is ${peer}'s turn` : '';
  }
  return claim.isFirst ? '' : `${peer} comes first`;
}

/** The holder sees its peer up to date, by a look that began after the peer was called outdated. */
function forgetOutdated(lease: Lease, claim: Claim, now: number): Lease {
  const { report, bootId, peer } = claim;
  const { outdated } = lease;
  if (outdated?.node !== peer || lease.holder?.bootId !== bootId || now >= lease.until)
    return lease;
  const isLater = outdated.bootId !== bootId || report.at > outdated.at;
  const isWhole =
    report.connection === 'Connected' &&
    report.role === 'Primary' &&
    report.disk === 'UpToDate' &&
    report.peerDisk === 'UpToDate';
  return isLater && isWhole && !report.fence ? without(lease, 'outdated') : lease;
}

function refuse(before: Lease, lease: Lease, why: string): LeaseDecision {
  const isDurable = differs(before, lease);
  return { lease, isDurable, isGranted: false, why, outdate: false, disconnect: false };
}

/** Whether anything but the end of the term changed. */
function differs(a: Lease, b: Lease): boolean {
  return JSON.stringify(durablePart(a)) !== JSON.stringify(durablePart(b));
}

function durablePart({ holder, outdated, releasedBy }: Lease) {
  return [holder?.node, holder?.bootId, outdated?.node, outdated?.bootId, outdated?.at, releasedBy];
}

function without(lease: Lease, key: 'holder' | 'outdated' | 'releasedBy'): Lease {
  const { until, ...rest } = lease;
  return { until, ...Object.fromEntries(Object.entries(rest).filter(([name]) => name !== key)) };
}
