import type { Place } from './client-address.ts';
import { type DhcpDecision, type DhcpFacts, silent, tellProblem } from './dhcp-decision.ts';
import { noAddress } from './dhcp-packet.ts';
import type { DhcpClient } from './identify-client.ts';
import { declineHold } from './leases.ts';
import { replyWith } from './reply-packet.ts';

/** What a DECLINE changes: a client found its address in use (RFC 2131 §4.3.3). */
export function noteDecline(client: DhcpClient, facts: DhcpFacts, place: Place): DhcpDecision {
  const address = client.requested;
  if (address === undefined) return silent(place, 'its DECLINE names no address');
  const reason = `another machine already uses ${address}; look for it with: arping ${address}`;
  if (place.kind === 'node') return tellProblem(place, 'address-conflict', reason);
  // Only the machine that was given an address can take it out of the pool.
  const isItsOwn =
    facts.leases.of(client.mac)?.address === address || facts.holds.of(client.mac) === address;
  if (!isItsOwn) return silent(place, `it declines ${address}, which it was not given`);
  return tellProblem(place, 'address-conflict', reason, [
    { kind: 'delete', mac: client.mac },
    { kind: 'unhold', mac: client.mac },
    { kind: 'hold', address, hold: { until: facts.now + declineHold } },
  ]);
}

/** What a RELEASE changes: a client needs its address no more (RFC 2131 §4.3.4). */
export function noteRelease(client: DhcpClient, facts: DhcpFacts, place: Place): DhcpDecision {
  const own = facts.leases.of(client.mac);
  const lease = own?.address === client.ciaddr ? own : undefined;
  // Some UEFI firmware releases before it starts the loader: the lease ends, its record stays, so that the
  // loader and the operating system get the same address again.
  return silent(
    place,
    `it gave ${client.ciaddr} back`,
    lease
      ? [{ kind: 'put', lease: { ...lease, expires: Math.min(lease.expires, facts.now) } }]
      : [],
  );
}

/** The answer to a client that has its address from elsewhere and wants the rest (RFC 2131 §4.3.5). */
export function answerInform(client: DhcpClient, facts: DhcpFacts, place: Place): DhcpDecision {
  if (client.ciaddr === noAddress) return silent(place, 'its INFORM names no address');
  return replyWith('ack', client, facts, place, noAddress, { changes: [] });
}
