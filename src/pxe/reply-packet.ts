import { broadcastAddress, type Ipv4, netmask } from '../net/ipv4.ts';
import type { Network, Site } from '../site/site.ts';
import type { EventBody } from '../state/event.ts';
import { bootAnswer } from './boot-options.ts';
import type { Place } from './client-address.ts';
import { type DhcpDecision, type DhcpFacts, type LeaseChange, refuse } from './dhcp-decision.ts';
import { dhcpOption, ipv4Bytes, textBytes, uint32Bytes } from './dhcp-options.ts';
import { noAddress } from './dhcp-packet.ts';
import type { DhcpClient } from './identify-client.ts';
import { leaseSeconds as usualLeaseSeconds } from './leases.ts';
import { replyDestination } from './reply-destination.ts';

/** Message types of a server (RFC 2132 §9.6). */
export const messageNumber = { offer: 2, ack: 5, nak: 6 } as const;

/** A NAK: the client may not use the address that it asks for. */
export function refuseAddress(
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
        ...(yiaddr === noAddress ? [] : [leaseTime(facts, dhcpOption.leaseTime, 1)]),
        [dhcpOption.subnetMask, ipv4Bytes(netmask(place.network.subnet))],
        ...routerOption(client, place),
        ...(isBoot ? boot.options : []),
        ...client.echo,
        ...siteOptions(facts.site, place.network, place.name),
        ...(yiaddr === noAddress
          ? []
          : [
              leaseTime(facts, dhcpOption.renewalTime, 0.5),
              leaseTime(facts, dhcpOption.rebindingTime, 0.875),
            ]),
      ]),
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

function leaseTime(
  { leaseSeconds = usualLeaseSeconds }: DhcpFacts,
  option: number,
  share: number,
): readonly [number, Uint8Array] {
  return [option, uint32Bytes(Math.floor(leaseSeconds * share))];
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
