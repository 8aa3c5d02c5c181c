import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import type { Lease } from '../state/leases.ts';
import { type Place, reservedAddresses } from './client-address.ts';
import type { DhcpFacts, LeaseChange } from './dhcp-decision.ts';
import type { DhcpClient } from './identify-client.ts';
import { chooseAddress, leaseSeconds as usualLeaseSeconds } from './leases.ts';

/** The address of a client, or why there is none. */
export type Choice =
  | { readonly kind: 'address'; readonly address: Ipv4; lease?: Lease; evicts?: MacAddress }
  | { readonly kind: 'full'; readonly reason: string };

/** Which address the client has here: its node's, or one of the pool (preferably the one it asks for). */
export function addressFor(
  client: DhcpClient,
  facts: DhcpFacts,
  place: Place,
  requested: Ipv4 | undefined,
): Choice {
  if (place.kind === 'node') return { kind: 'address', address: place.link.address };
  return chooseAddress(
    {
      pool: place.pool,
      reserved: reservedAddresses(facts.site),
      leases: facts.leases,
      holds: facts.holds,
      pools: facts.pools,
      now: facts.now,
    },
    client.mac,
    requested,
  );
}

/** A machine has taken an address of the pool. */
export function bind(
  mac: MacAddress,
  choice: Extract<Choice, { kind: 'address' }>,
  { now, leaseSeconds = usualLeaseSeconds }: DhcpFacts,
): readonly LeaseChange[] {
  const boundAt = choice.lease?.boundAt ?? now;
  return [
    ...(choice.evicts === undefined ? [] : [{ kind: 'delete', mac: choice.evicts } as const]),
    {
      kind: 'put',
      lease: { mac, address: choice.address, expires: now + leaseSeconds * 1000, boundAt },
    },
    { kind: 'unhold', mac },
  ];
}

/** A machine that has become a node needs its place in the pool no more. */
export function forget(client: DhcpClient, facts: DhcpFacts): readonly LeaseChange[] {
  return facts.leases.of(client.mac) ? [{ kind: 'delete', mac: client.mac }] : [];
}
