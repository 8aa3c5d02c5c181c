import { broadcastAddress, type Ipv4, netmask } from '../net/ipv4.ts';
import type { Network, Site } from '../site/site.ts';
import type { EventBody } from '../state/event.ts';
import { bootAnswer } from './boot-options.ts';
import type { Place } from './client-address.ts';
import { type DhcpDecision, type DhcpFacts, type LeaseChange, refuse } from './dhcp-decision.ts';
import {
  type DhcpOptions,
  dhcpOption,
  ipv4Bytes,
  OptionTable,
  textBytes,
  uint32Bytes,
} from './dhcp-options.ts';
import { noAddress } from './dhcp-packet.ts';
import type { DhcpClient } from './identify-client.ts';
import { leaseSeconds as usualLeaseSeconds } from './leases.ts';
import { replyDestination } from './reply-destination.ts';

/** Message types of a server (RFC 2132 §9.6). */
export const messageNumber = { offer: 2, ack: 5, nak: 6 } as const;

const typeOption = {
  offer: Uint8Array.of(messageNumber.offer),
  ack: Uint8Array.of(messageNumber.ack),
} as const;

/** A NAK: the client may not use the address that it asks for. */
export function refuseAddress(
  client: DhcpClient,
  facts: DhcpFacts,
  place: Place,
  reason: string,
): DhcpDecision {
  const options = new OptionTable()
    .set(dhcpOption.messageType, Uint8Array.of(messageNumber.nak))
    .set(dhcpOption.serverId, ipv4Bytes(serverId(client, facts)))
    .set(dhcpOption.message, textBytes(reason))
    .add(client.echo);
  return {
    kind: 'reply',
    // A relay passes a NAK on by broadcast only where the flag is set (RFC 2131 §4.3.2).
    packet: {
      ...replyHeader(client),
      broadcast: client.relay !== undefined || client.broadcast,
      ciaddr: noAddress,
      options,
    },
    maxBytes: client.maxBytes,
    to: replyDestination(addresses(client), 'nak', facts.ports),
    node: place.name,
    changes: [{ kind: 'unhold', mac: client.mac }],
    event: { kind: 'dhcp-refused', reason },
  };
}

/** An OFFER or ACK with everything that the client gets; a refusal where nothing can be booted on it. */
export function replyWith(
  type: 'offer' | 'ack',
  client: DhcpClient,
  facts: DhcpFacts,
  place: Place,
  yiaddr: Ipv4,
  rest: { readonly changes: readonly LeaseChange[]; readonly event?: EventBody },
): DhcpDecision {
  const boot = bootAnswer(client, facts, 'server');
  if (boot.kind === 'none') return refuse(place, boot.reason);
  const isBoot = boot.kind === 'boot';
  const { network } = place;
  const fixed = networkOptions(facts.site, network);
  // What a client cannot do without comes first: a small client gets as many as fit.
  const options = new OptionTable()
    .set(dhcpOption.messageType, typeOption[type])
    .set(dhcpOption.serverId, serverIdBytes(serverId(client, facts)));
  const times = leaseTimes(facts.leaseSeconds ?? usualLeaseSeconds);
  if (yiaddr !== noAddress) options.set(dhcpOption.leaseTime, times.lease);
  options.set(dhcpOption.subnetMask, fixed.mask);
  if (fixed.router && isRouted(client, place)) options.set(dhcpOption.router, fixed.router);
  if (isBoot) for (const [code, value] of boot.options) options.set(code, value);
  options.add(client.echo);
  options.add(fixed.beforeName);
  options.set(dhcpOption.hostName, textBytes(place.name));
  options.add(fixed.afterName);
  if (yiaddr !== noAddress) {
    options.set(dhcpOption.renewalTime, times.renewal);
    options.set(dhcpOption.rebindingTime, times.rebinding);
  }
  return {
    kind: 'reply',
    packet: {
      ...replyHeader(client),
      ciaddr: type === 'ack' ? client.ciaddr : noAddress,
      yiaddr,
      siaddr: isBoot ? facts.serverAddress : noAddress,
      sname: isBoot ? facts.serverAddress : '',
      file: isBoot ? boot.file : '',
      options,
    },
    maxBytes: client.maxBytes,
    to: replyDestination(addresses(client), type, facts.ports),
    node: place.name,
    ...rest,
  };
}

/** The header of an answer: what the request's says, and nothing of an address. */
export function replyHeader(client: DhcpClient) {
  return {
    op: 'reply',
    htype: client.htype,
    hlen: 6,
    hops: 0,
    xid: client.xid,
    secs: 0,
    broadcast: client.broadcast,
    ciaddr: noAddress,
    yiaddr: noAddress,
    siaddr: noAddress,
    giaddr: client.relay?.giaddr ?? noAddress,
    chaddr: client.chaddr,
    sname: '',
    file: '',
  } as const;
}

function addresses(client: DhcpClient): { giaddr: Ipv4; ciaddr: Ipv4 } {
  return { giaddr: client.relay?.giaddr ?? noAddress, ciaddr: client.ciaddr };
}

/** By which address the client knows this server: a relay may put its own there (RFC 5107). */
export function serverId(client: DhcpClient, facts: DhcpFacts): Ipv4 {
  return client.relay?.serverId ?? facts.serverAddress;
}

/**
 * The default route of a node may leave by another link; its firmware needs this one all the same
 * where a relay stands between it and the server.
 */
function isRouted(client: DhcpClient, place: Place): boolean {
  return place.kind === 'pool' || place.link.gateway || client.via !== 'os';
}

let lastServerId: { readonly address: Ipv4; readonly bytes: Uint8Array } | undefined;

/** The same for nearly every answer. */
function serverIdBytes(address: Ipv4): Uint8Array {
  if (lastServerId?.address !== address) lastServerId = { address, bytes: ipv4Bytes(address) };
  return lastServerId.bytes;
}

/** What everybody is told of the lease: T1 and T2 as RFC 2131 §4.4.5 has them. */
interface LeaseTimes {
  readonly seconds: number;
  readonly lease: Uint8Array;
  readonly renewal: Uint8Array;
  readonly rebinding: Uint8Array;
}

let lastTimes: LeaseTimes | undefined;

function leaseTimes(seconds: number): LeaseTimes {
  if (lastTimes?.seconds === seconds) return lastTimes;
  lastTimes = {
    seconds,
    lease: uint32Bytes(seconds),
    renewal: uint32Bytes(Math.floor(seconds * 0.5)),
    rebinding: uint32Bytes(Math.floor(seconds * 0.875)),
  };
  return lastTimes;
}

/** What everybody on a network is told of it. */
interface NetworkOptions {
  readonly mask: Uint8Array;
  readonly router?: Uint8Array;
  readonly beforeName: DhcpOptions;
  readonly afterName: DhcpOptions;
}

/** A network belongs to one reading of its site. */
const optionsOf = new WeakMap<Network, NetworkOptions>();

function networkOptions(site: Site, network: Network): NetworkOptions {
  const known = optionsOf.get(network);
  if (known) return known;
  const { subnet, gateway, dns } = network;
  const beforeName = new OptionTable();
  beforeName.set(dhcpOption.broadcast, ipv4Bytes(broadcastAddress(subnet)));
  if (dns.length > 0) beforeName.set(dhcpOption.dns, ipv4Bytes(...dns));
  const afterName = new OptionTable();
  if (site.domain) afterName.set(dhcpOption.domainName, textBytes(site.domain));
  if (site.ntp.length > 0) afterName.set(dhcpOption.ntp, ipv4Bytes(...site.ntp));
  const made: NetworkOptions = {
    mask: ipv4Bytes(netmask(subnet)),
    ...(gateway ? { router: ipv4Bytes(gateway) } : {}),
    beforeName,
    afterName,
  };
  optionsOf.set(network, made);
  return made;
}
