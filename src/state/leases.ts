import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';

/** An address of the pool, given to a machine that no role file names. */
export interface Lease {
  readonly mac: MacAddress;
  readonly address: Ipv4;
  /** Milliseconds since the epoch; an expired lease is kept, so that its machine finds the same address again. */
  readonly expires: number;
  /** When the machine first took this address, milliseconds since the epoch. */
  readonly boundAt: number;
}

/** Where leases outlive the server. One lease per MAC. */
export interface LeaseStore {
  get(mac: MacAddress): Lease | undefined;
  all(): readonly Lease[];
  /** On disk when it returns: the acknowledgement leaves only after that (RFC 2131 §3.1.4). */
  put(lease: Lease): void;
  delete(mac: MacAddress): void;
}
