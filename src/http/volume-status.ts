import type { VolumeReport } from '../volumes/volume-report.ts';

/** A volume as `volume status` shows it. */
export interface VolumeStatus {
  readonly name: string;
  /** The node that holds the lease; empty where none does. */
  readonly leader: string;
  readonly device: string;
  readonly at: string;
  readonly vip: readonly string[];
  readonly nodes: readonly {
    readonly name: string;
    /** ISO 8601, UTC; empty where it never reported. */
    readonly heard: string;
    /** Whether its copy is known to be older than the other. */
    readonly outdated: boolean;
    /** What it said last; absent where that is too old. */
    readonly report?: VolumeReport;
  }[];
  /** What an operator asked for last. */
  readonly order?: {
    readonly id: string;
    readonly state: 'running' | 'done' | 'failed';
    readonly why: string;
    /** What it is about; empty where it has ended. */
    readonly step: string;
  };
}

/** What an operator agreed to. */
export interface CreateRequest {
  readonly force: boolean;
  /** The disks to overwrite as they were shown, by node. */
  readonly disks: Readonly<Record<string, string>>;
}
