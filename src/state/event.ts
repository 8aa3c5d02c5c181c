import type { Digest } from '../digest.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';

/** Stages a node itself reports, in order. */
export type ReportedStage = 'kernel' | 'root' | 'overlay' | 'ready' | 'failed' | 'alive';

/** What keepalived says of a node's VIPs: master of one at least, else backup or fault. */
export type VrrpState = 'master' | 'backup' | 'fault';

/** What a machine is made of, as the report of a booted node lists it. */
export interface Hardware {
  readonly cpu: string;
  readonly cpus: number;
  /** MiB. */
  readonly memory: number;
  readonly disks: readonly {
    readonly name: string;
    readonly bytes: number;
    readonly model: string;
  }[];
  readonly nics: readonly {
    readonly name: string;
    readonly mac: string;
    readonly driver: string;
  }[];
  readonly serial: string;
  readonly uuid: string;
  readonly product: string;
  readonly firmware: 'bios' | 'uefi';
}

/** Who speaks DHCP on a machine: our own loader, another iPXE, HTTP Boot or PXE firmware, an operating system. */
export type ClientVia = 'rolecall' | 'ipxe' | 'http' | 'pxe' | 'os';

/** What may be wrong around a machine: no address left, another DHCP server, an address in use twice. */
export type DhcpProblem = 'pool-full' | 'foreign-server' | 'address-conflict';

/** One step of one machine. `machine` is the MAC it boots by; `node` the name that it had at that time. */
export type Event = {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly machine: MacAddress;
  readonly node: string;
} & EventBody;

export type EventBody =
  | {
      readonly kind: 'dhcp-offered';
      readonly address: Ipv4;
      readonly via: ClientVia;
      /** The client in words. */
      readonly client: string;
    }
  | {
      readonly kind: 'dhcp-acked';
      readonly address: Ipv4;
      readonly via: ClientVia;
      /** The client in words. */
      readonly client: string;
    }
  | {
      /** Another DHCP server gives the address; this one said what to load. */
      readonly kind: 'proxy-answered';
      readonly port: 'dhcp' | 'boot-server';
      readonly via: ClientVia;
      /** The client in words. */
      readonly client: string;
      /** TFTP name or URL. */
      readonly file: string;
      /** What the other server gave, where the client says it. */
      readonly address?: Ipv4;
    }
  | {
      readonly kind: 'address-taken';
      readonly address: Ipv4;
      /** The other DHCP server, where the client names it. */
      readonly server?: Ipv4;
      readonly via: ClientVia;
      /** What to mind about it; absent where nothing. */
      readonly warning?: string;
    }
  | { readonly kind: 'dhcp-refused'; readonly reason: string }
  | { readonly kind: 'dhcp-problem'; readonly problem: DhcpProblem; readonly reason: string }
  | {
      readonly kind: 'loader-sent';
      readonly file: string;
      readonly bytes: number;
      readonly via: 'tftp' | 'http';
    }
  | {
      readonly kind: 'script-sent';
      readonly bootId: string;
      readonly bootSet: Digest;
      readonly image: Digest;
      readonly roles: readonly string[];
      readonly address: Ipv4;
    }
  | {
      readonly kind: 'blob-sent';
      readonly what: 'kernel' | 'initramfs' | 'root' | 'overlay' | 'secrets';
      readonly bytes: number;
    }
  | {
      readonly kind: 'stage';
      readonly bootId: string;
      readonly stage: ReportedStage;
      readonly reason: string;
      /** Seconds since the kernel started, as the node counts them. */
      readonly uptime: number;
      /** Only of a node with VIPs. */
      readonly vrrp?: VrrpState;
    }
  | {
      /** A running node was told to become what this set says. */
      readonly kind: 'follow-sent';
      readonly bootSet: Digest;
      /** What that means, in words. */
      readonly means: string;
    }
  | {
      /** A running node is now what this set says. */
      readonly kind: 'followed';
      readonly bootId: string;
      readonly bootSet: Digest;
      /** What its units did, in words. */
      readonly reason: string;
    }
  | {
      /** A running node is what it was before: a check or a unit refused the set. */
      readonly kind: 'follow-failed';
      readonly bootId: string;
      readonly bootSet: Digest;
      readonly reason: string;
    }
  | { readonly kind: 'hardware'; readonly hardware: Hardware }
  | { readonly kind: 'silent' }
  | {
      readonly kind: 'warning';
      readonly reason: string;
      /** Whether it is over as soon as the machine goes on. */
      readonly stalled?: true;
    }
  | { readonly kind: 'refused'; readonly reason: string }
  | {
      /** Who leads a volume changed, or a node went on without the other. */
      readonly kind: 'volume';
      readonly volume: string;
      readonly reason: string;
    }
  | {
      readonly kind: 'role-changed';
      readonly from: readonly string[];
      readonly to: readonly string[];
    };

/** Where a machine stands, the fold of its events. */
export type Stage =
  | 'absent'
  | 'dhcp'
  | 'loader'
  | 'script'
  | 'kernel'
  | 'root'
  | 'overlay'
  | 'ready'
  | 'failed'
  | 'silent';

/** One row of `node ls` and `lab status`: a contract with other programs. */
export interface NodeStatus {
  readonly name: string;
  readonly role: readonly string[];
  readonly mac: readonly string[];
  readonly address: string;
  readonly stage: Stage;
  /** ISO 8601, UTC; empty where it was never seen. */
  readonly since: string;
  /** Digest of the boot set it runs or boots; empty where none. */
  readonly bootSet: string;
  /** Digest of the image. */
  readonly image: string;
  /** Why it failed or what to mind; empty where nothing. */
  readonly reason: string;
}
