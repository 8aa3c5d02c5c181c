import type { Digest } from '../digest.ts';
import type { MacAddress } from '../net/mac.ts';
import type { Hardware, ReportedStage, VrrpState } from '../state/event.ts';
import type { VolumeReport } from '../volumes/volume-report.ts';

/** A file to send. */
export interface ServedFile {
  /** Absolute path. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Where its name may mean another file tomorrow. */
  readonly digest?: Digest;
}

/** Who asks for a boot script, in its own words; only `mac` is sure to be well formed. */
export interface ScriptQuery {
  readonly mac: MacAddress;
  /** Whose language the script is in. */
  readonly loader: 'ipxe' | 'grub';
  /** What the loader was built for, in its own word: `x86_64`, `arm64`. */
  readonly arch?: string;
  readonly uuid?: string;
  readonly serial?: string;
  /** Only shows the script: no boot begins. */
  readonly preview?: true;
}

/** What a node posts to its report path. */
export type Report =
  | {
      readonly stage: ReportedStage;
      readonly uptime: number;
      readonly reason: string;
      /** The boot set that it runs; only a node says it whose agent can follow. */
      readonly set?: Digest;
      readonly vrrp?: VrrpState;
    }
  | FollowReport
  | { readonly stage: 'warning'; readonly uptime: number; readonly reason: string }
  | { readonly stage: 'hardware'; readonly uptime: number; readonly hardware: Hardware };

/** How following to a set ended. */
export interface FollowReport {
  readonly stage: 'followed' | 'follow-failed';
  readonly uptime: number;
  readonly reason: string;
  /** The set that it runs now, or that it could not follow to. */
  readonly set: Digest;
}

/** What a node does after a report. */
export type ReportAnswer =
  | { readonly action: 'none' | 'reboot' }
  | { readonly action: 'follow'; readonly set: Digest };

/** The secrets of a boot as a tar, or why the node does not get them. */
export type SecretsAnswer =
  | { readonly kind: 'sent'; readonly tar: Uint8Array }
  /** The token was spent before: answered 403. */
  | { readonly kind: 'used' }
  /** No such boot, or not its token: answered 403 too, so that guessing learns nothing. */
  | { readonly kind: 'unknown' };

/** A file that went out, or part of one. */
export interface Sent {
  readonly what: 'loader' | 'image' | 'overlay';
  /** File name of a loader, else the digest. */
  readonly name: string;
  /** Bytes of the body that were handed to the network. */
  readonly bytes: number;
  /** Whether the whole file went out. */
  readonly complete: boolean;
  /** Address of the client, `10.77.0.21`. */
  readonly from: string;
}

/** What the boot listener asks of the server behind it. */
export interface BootService {
  /** The loader of that file name; undefined where there is none. */
  loader(fileName: string): Promise<ServedFile | undefined>;
  /**
   * What our loader, started by HTTP Boot, does first; `from` is the address that it asks from, `server` the
   * URL of the one that it asks, such as `http://10.77.0.1`.
   */
  autoexec(from: string, server: string): string;
  /** What GRUB does first, whoever it boots. */
  grubStart(server: string): string;
  /**
   * The boot script for a machine, which goes on at `server`; its boot is on disk when this resolves.
   * A preview is of the same length.
   */
  script(
    query: ScriptQuery,
    from: string,
    server: string,
  ): Promise<{ readonly status: number; readonly body: string; readonly refused?: string }>;
  /** A blob of the image store. */
  blob(digest: Digest): Promise<ServedFile | undefined>;
  overlay(digest: Digest): Promise<ServedFile | undefined>;
  /** Spends the token, on disk when this resolves. */
  secrets(bootId: string, token: string, from: string): Promise<SecretsAnswer>;
  /** Takes a report; undefined where no such boot is kept. */
  report(bootId: string, report: Report, from: string): Promise<ReportAnswer | undefined>;
  /** What the node of this boot does to follow to the set, as its agent reads it; undefined where it was not told to. */
  follow(bootId: string, set: Digest): Promise<string | undefined>;
  /**
   * Takes what a node says of a volume and answers in lines of `key=value`; undefined where no such boot is
   * kept, or its node does not hold the volume. A lease that it grants is on disk when this returns.
   */
  volume(bootId: string, volume: string, report: VolumeReport): string | undefined;
  /** Told of each file that went out. */
  sent?(sent: Sent): void;
}
