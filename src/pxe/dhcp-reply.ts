import type { Machine } from '../boot/identify-machine.ts';
import { broadcastAddress, cidrContains, type Ipv4, netmask } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import type { Network, Site } from '../site/site.ts';
import type { EventBody } from '../state/event.ts';
import type { Lease } from '../state/leases.ts';
import { bootAnswer } from './boot-options.ts';
import { type ClientPlace, placeClient, reservedAddresses } from './client-address.ts';
import { dhcpOption, ipv4Bytes, textBytes, uint32Bytes } from './dhcp-options.ts';
import { type DhcpPacket, noAddress } from './dhcp-packet.ts';
import type { Hold } from './held-addresses.ts';
import { type DhcpClient, describeClient } from './identify-client.ts';
import { chooseAddress, declineHold, leaseSeconds, offerHold } from './leases.ts';
import { type Destination, type DhcpPorts, replyDestination } from './reply-destination.ts';

/** Everything a decision rests on besides the message itself. */
export interface DhcpFacts {
  readonly site: Site;
  /** Who the client is, by the site's role files. */
  readonly machine: Machine;
  readonly serverAddress: Ipv4;
  /** `http://10.77.0.1`, with a port where it is not 80. */
  readonly httpServer: string;
  readonly leases: readonly Lease[];
  readonly holds: ReadonlyMap<Ipv4, Hold>;
  /** Whether this machine fetched our loader lately and its firmware has not asked since. */
  readonly isOurLoader: boolean;
  readonly ports: DhcpPorts;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** What becomes of leases and offers; done in order, and on disk before the reply leaves. */
export type LeaseChange =
  | { readonly kind: 'hold'; readonly address: Ipv4; readonly hold: Hold }
  | { readonly kind: 'unhold'; readonly mac: MacAddress }
  | { readonly kind: 'put'; readonly lease: Lease }
  | { readonly kind: 'delete'; readonly mac: MacAddress };

/** The answer to one message, and why. */
export type DhcpDecision =
  | {
      readonly kind: 'reply';
      readonly packet: DhcpPacket;
      readonly maxBytes: number;
      readonly to: Destination;
      /** Node name; empty where the machine has none. */
      readonly node: string;
      readonly changes: readonly LeaseChange[];
      readonly event?: EventBody;
    }
  | {
      readonly kind: 'ignore';
      readonly reason: string;
      readonly node: string;
      readonly changes: readonly LeaseChange[];
      readonly event?: EventBody;
    };

/** What to answer to a client's message in server mode (RFC 2131 §4.3), as a value; it changes nothing. */
export function decideDhcpReply(client: DhcpClient, facts: DhcpFacts): DhcpDecision {
  const place = placeClient(client, facts.site, facts.machine, facts.serverAddress);
  if (place.kind === 'none') return refuse(place, place.reason);
  const named = client.serverId;
  if (named !== undefined && named !== serverId(client, facts)) {
    return refuse(
      place,
      `it chose the DHCP server ${named}; two servers answer on network ${place.network.name}`,
      [{ kind: 'unhold', mac: client.mac }],
    );
  }
  switch (client.messageType) {
    case 'discover':
      return offer(client, facts, place);
    case 'request':
      return answerRequest(client, facts, place);
    case 'decline':
      return noteDecline(client, facts, place);
    case 'release':
      return noteRelease(client, facts, place);
    case 'inform':
      return inform(client, facts, place);
  }
}

type Place = Exclude<ClientPlace, { kind: 'none' }>;

function offer(client: DhcpClient, facts: DhcpFacts, place: Place): DhcpDecision {
  const choice = addressFor(client, facts, place, client.requested);
  if (choice.kind === 'full') return refuse(place, choice.reason);
  const { address } = choice;
  return reply('offer', client, facts, place, address, {
    changes:
      place.kind === 'pool'
        ? [{ kind: 'hold', address, hold: { mac: client.mac, until: facts.now + offerHold } }]
        : [],
    event: { kind: 'dhcp-offered', address, via: client.via, client: describeClient(client) },
  });
}

function answerRequest(client: DhcpClient, facts: DhcpFacts, place: Place): DhcpDecision {
  const isRenewal = client.ciaddr !== noAddress;
  const wanted = isRenewal ? client.ciaddr : client.requested;
  if (wanted === undefined) return refuse(place, 'its REQUEST names no address');
  const isReboot = !isRenewal && client.serverId === undefined;
  if (isReboot && place.kind === 'pool' && cidrContains(place.network.subnet, wanted)) {
    // RFC 2131 §4.3.2: silence about a client that is not on record, for another server may know it.
    const known =
      facts.leases.some((lease) => lease.mac === client.mac) ||
      facts.holds.get(wanted)?.mac === client.mac;
    if (!known) return silent(place, `it asks for ${wanted} again, of which there is no record`);
  }
  const choice = addressFor(client, facts, place, wanted);
  if (choice.kind === 'full' || choice.address !== wanted) {
    return refuseAddress(client, facts, place, `${wanted} is not its address here`);
  }
  return reply('ack', client, facts, place, wanted, {
    changes: place.kind === 'pool' ? bind(client.mac, choice, facts.now) : forget(client, facts),
    event: {
      kind: 'dhcp-acked',
      address: wanted,
      via: client.via,
      client: describeClient(client),
    },
  });
}

function noteDecline(client: DhcpClient, facts: DhcpFacts, place: Place): DhcpDecision {
  const address = client.requested;
  if (address === undefined) return silent(place, 'its DECLINE names no address');
  const reason = `another machine already uses ${address}; look for it with: arping ${address}`;
  if (place.kind === 'node') return refuse(place, reason);
  // Only the machine that was given an address can take it out of the pool.
  const isItsOwn =
    facts.leases.some((lease) => lease.mac === client.mac && lease.address === address) ||
    facts.holds.get(address)?.mac === client.mac;
  if (!isItsOwn) return silent(place, `it declines ${address}, which it was not given`);
  return refuse(place, reason, [
    { kind: 'delete', mac: client.mac },
    { kind: 'unhold', mac: client.mac },
    { kind: 'hold', address, hold: { until: facts.now + declineHold } },
  ]);
}

function noteRelease(client: DhcpClient, facts: DhcpFacts, place: Place): DhcpDecision {
  const lease = facts.leases.find((l) => l.mac === client.mac && l.address === client.ciaddr);
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

function inform(client: DhcpClient, facts: DhcpFacts, place: Place): DhcpDecision {
  if (client.ciaddr === noAddress) return silent(place, 'its INFORM names no address');
  return reply('ack', client, facts, place, noAddress, { changes: [] });
}

type Choice =
  | { readonly kind: 'address'; readonly address: Ipv4; lease?: Lease; evicts?: MacAddress }
  | { readonly kind: 'full'; readonly reason: string };

function addressFor(
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
      now: facts.now,
    },
    client.mac,
    requested,
  );
}

function bind(
  mac: MacAddress,
  choice: Extract<Choice, { kind: 'address' }>,
  now: number,
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
function forget(client: DhcpClient, facts: DhcpFacts): readonly LeaseChange[] {
  return facts.leases.some((lease) => lease.mac === client.mac)
    ? [{ kind: 'delete', mac: client.mac }]
    : [];
}

/** An ignored message that an operator should know of. */
function refuse(
  place: { readonly name: string },
  reason: string,
  changes: readonly LeaseChange[] = [],
): DhcpDecision {
  const event: EventBody = { kind: 'dhcp-refused', reason };
  return { kind: 'ignore', reason, node: place.name, changes, event };
}

/** An ignored message that is part of ordinary life. */
function silent(
  place: { readonly name: string },
  reason: string,
  changes: readonly LeaseChange[] = [],
): DhcpDecision {
  return { kind: 'ignore', reason, node: place.name, changes };
}

function refuseAddress(
  client: DhcpClient,
  facts: DhcpFacts,
  place: Place,
  reason: string,
): DhcpDecision {
  const options = new Map<number, Uint8Array>([
    [dhcpOption.messageType, Uint8Array.of(messageNumber.nak)],
    [dhcpOption.serverId, ipv4Bytes(serverId(client, facts))],
    [dhcpOption.message, textBytes(reason)],
    ...client.echo,
  ]);
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

const messageNumber = { offer: 2, ack: 5, nak: 6 } as const;

function reply(
  type: 'offer' | 'ack',
  client: DhcpClient,
  facts: DhcpFacts,
  place: Place,
  yiaddr: Ipv4,
  rest: { readonly changes: readonly LeaseChange[]; readonly event?: EventBody },
): DhcpDecision {
  const boot = bootAnswer(client, facts);
  if (boot.kind === 'none') return refuse(place, boot.reason);
  const isBoot = boot.kind === 'boot';
  return {
    kind: 'reply',
    packet: {
      ...replyHeader(client),
      ciaddr: type === 'ack' ? client.ciaddr : noAddress,
      yiaddr,
      siaddr: isBoot ? facts.serverAddress : noAddress,
      sname: isBoot ? facts.serverAddress : '',
      file: isBoot ? boot.file : '',
      // What a client cannot do without comes first: a small client gets as many as fit.
      options: new Map<number, Uint8Array>([
        [dhcpOption.messageType, Uint8Array.of(messageNumber[type])],
        [dhcpOption.serverId, ipv4Bytes(serverId(client, facts))],
        ...(yiaddr === noAddress ? [] : [leaseTime(dhcpOption.leaseTime, 1)]),
        [dhcpOption.subnetMask, ipv4Bytes(netmask(place.network.subnet))],
        ...routerOption(client, place),
        ...(isBoot ? boot.options : []),
        ...client.echo,
        ...siteOptions(facts.site, place.network, place.name),
        ...(yiaddr === noAddress
          ? []
          : [leaseTime(dhcpOption.renewalTime, 0.5), leaseTime(dhcpOption.rebindingTime, 0.875)]),
      ]),
    },
    maxBytes: client.maxBytes,
    to: replyDestination(addresses(client), type, facts.ports),
    node: place.name,
    ...rest,
  };
}

function replyHeader(client: DhcpClient) {
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

function serverId(client: DhcpClient, facts: DhcpFacts): Ipv4 {
  return client.relay?.serverId ?? facts.serverAddress;
}

function leaseTime(option: number, share: number): readonly [number, Uint8Array] {
  return [option, uint32Bytes(leaseSeconds * share)];
}

/**
 * The default route of a node may leave by another link; its firmware needs this one all the same
 * where a relay stands between it and the server.
 */
function routerOption(client: DhcpClient, place: Place): readonly [number, Uint8Array][] {
  const { gateway } = place.network;
  const wanted = place.kind === 'pool' || place.link.gateway || client.via !== 'os';
  return gateway && wanted ? [[dhcpOption.router, ipv4Bytes(gateway)]] : [];
}

function siteOptions(site: Site, network: Network, name: string): readonly [number, Uint8Array][] {
  return [
    [dhcpOption.broadcast, ipv4Bytes(broadcastAddress(network.subnet))],
    ...(network.dns.length
      ? [[dhcpOption.dns, ipv4Bytes(...network.dns)] satisfies [number, Uint8Array]]
      : []),
    [dhcpOption.hostName, textBytes(name)],
    ...(site.domain
      ? [[dhcpOption.domainName, textBytes(site.domain)] satisfies [number, Uint8Array]]
      : []),
    ...(site.ntp.length
      ? [[dhcpOption.ntp, ipv4Bytes(...site.ntp)] satisfies [number, Uint8Array]]
      : []),
  ];
}
