import type { Ipv4 } from '../../../src/net/ipv4.ts';
import type { DhcpFacts } from '../../../src/pxe/dhcp-decision.ts';
import { createHeldAddresses, type Hold } from '../../../src/pxe/held-addresses.ts';
import { createPoolIndex } from '../../../src/pxe/pool-index.ts';
import { createLeaseTable, type Lease } from '../../../src/state/leases.ts';

/** What a decision sees of these leases and holds at `now`. */
export function addressFacts(
  now: number,
  said: {
    readonly leases?: readonly Lease[];
    readonly holds?: readonly (readonly [Ipv4, Hold])[];
  } = {},
): Pick<DhcpFacts, 'leases' | 'holds' | 'pools'> {
  const leases = createLeaseTable();
  const holds = createHeldAddresses();
  const pools = createPoolIndex(leases, holds);
  for (const lease of said.leases ?? []) leases.put(lease);
  for (const [address, hold] of said.holds ?? []) holds.hold(address, hold);
  holds.expire(now);
  return { leases, holds, pools };
}
