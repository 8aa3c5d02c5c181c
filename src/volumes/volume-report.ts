/** What a node says of its copy of a volume, once a second. */
export interface VolumeReport {
  /** The node's uptime in seconds before it looked, so that an old message is known for one. */
  readonly at: number;
  /** DRBD's own words (drbdsetup(8)): Primary, Secondary, Unknown; empty where the resource is not up. */
  readonly role: string;
  readonly peerRole: string;
  /** Connected, WFConnection, StandAlone, SyncSource, SyncTarget …; empty where the resource is not up. */
  readonly connection: string;
  /** UpToDate, Consistent, Outdated, Inconsistent, Diskless …; empty where the resource is not up. */
  readonly disk: string;
  readonly peerDisk: string;
  /** Per cent of a resynchronisation that is done; 100 where none runs. */
  readonly done: number;
  /** Whether the kernel holds back writes until the peer is back or fenced. */
  readonly suspended: boolean;
  /** Whether clients are served here. */
  readonly serving: boolean;
  /** The kernel asks whether it may go on, or begin, without its peer. */
  readonly fence: boolean;
  /** The node has stopped serving and gives the lease back. */
  readonly release: boolean;
  /** It was connected to its peer since it booted. */
  readonly met: boolean;
  /** What its disk holds, looked at while the resource is not up. */
  readonly survey?: DiskSurvey;
  /** How far it is with what it was told to do. */
  readonly order?: OrderReport;
  /** What the node could not do; empty where nothing. */
  readonly problem: string;
}

/** What is on a disk. Only one that was read and found empty is `blank`. */
export interface DiskSurvey {
  readonly state: 'absent' | 'blank' | 'signed' | 'used' | 'unreadable';
  readonly bytes: number;
  /** Model and serial number, as far as the kernel knows them. */
  readonly model: string;
  /** `ext4`, `drbd`, `data in its first MiB`: why it is not blank; empty where it is. */
  readonly found: string;
}

export interface OrderReport {
  readonly id: string;
  readonly step: string;
  readonly state: 'running' | 'done' | 'failed';
  readonly why: string;
}

/** A disk as it was shown to the operator: what they agreed to overwrite is this, and nothing else. */
export function describeDisk(survey: DiskSurvey): string {
  const { state, bytes, model, found } = survey;
  return [state, bytes, model, found].join('|').replace(/[^\x21-\x7e]/g, '_');
}

/** States of a connection in which every write reaches the peer (drbd.conf(5), protocol C). */
const replicating = [
  'Connected',
  'SyncSource',
  'SyncTarget',
  'PausedSyncS',
  'PausedSyncT',
  'VerifyS',
  'VerifyT',
  'WFBitMapS',
  'WFBitMapT',
  'WFSyncUUID',
  'StartingSyncS',
  'StartingSyncT',
];

/** Whether the node's copy and its peer's are connected. */
export function isConnected({ connection }: Pick<VolumeReport, 'connection'>): boolean {
  return replicating.includes(connection);
}
