import type { Problem } from '../errors.ts';
import type { MacAddress } from '../net/mac.ts';
import type { Diagnosis } from '../pxe/diagnose-boot.ts';
import type { WirePacket } from '../pxe/wire-packet.ts';
import type { BootRecord } from '../state/boots.ts';
import type { Event } from '../state/event.ts';
import type { EventQuery, LoggedEvent } from '../state/event-table.ts';
import type { HeldImage } from '../state/held-images.ts';
import type { NodeDetail } from '../state/node-status.ts';
import type { WriteTrouble } from '../state/write-watch.ts';
import type { VolumeStatus } from './volume-status.ts';

/** Why the site on disk is not the one that is served. */
export interface SiteProblem {
  /** One sentence. */
  readonly message: string;
  readonly problems: readonly Problem[];
}

/** What the server says of itself. */
export interface ServerFacts {
  readonly version: string;
  /** Name of the site. */
  readonly site: string;
  /** Number of the generation of boot sets in use. */
  readonly generation: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

/** The packets of a machine's last boot, and what they show. */
export interface LastBoot {
  readonly machine: MacAddress;
  /** When this was looked up, milliseconds since the epoch. */
  readonly at: number;
  /** In the order in which they came; none where no boot was seen since the server started. */
  readonly packets: readonly WirePacket[];
  /** Packets of its middle that are not kept. */
  readonly dropped: number;
  readonly diagnosis: Diagnosis;
}

/** What makes the console look again: something happened to a machine, to the site on disk, or to the state folder. */
export type Change =
  | { readonly kind: 'event'; readonly event: Event }
  | { readonly kind: 'site' | 'state' };

/** What the admin listener asks of the server behind it. */
export interface AdminService {
  facts(): ServerFacts;
  /** Every node of the site, then spares; each sorted by name. */
  nodes(): readonly NodeDetail[];
  events(query: EventQuery): readonly LoggedEvent[];
  /** Boots of that node that are kept, newest first. */
  boots(name: string): readonly BootRecord[];
  lastBoot(machine: MacAddress): LastBoot;
  /** The same as a capture file, of packets at or after `since` (milliseconds since the epoch). */
  capture(machine: MacAddress, since: number): Uint8Array;
  volumes(): readonly VolumeStatus[];
  /** Images that boots still need. */
  heldImages(): readonly HeldImage[];
  /** undefined while the site on disk is the one that is served. */
  siteProblem(): SiteProblem | undefined;
  /** undefined while the state folder takes what is written. */
  writeTrouble(): WriteTrouble | undefined;
  /** Calls with each change as it happens; gives back what ends that. */
  subscribe(listener: (change: Change) => void): () => void;
}
