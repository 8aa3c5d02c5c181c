import type { EventBody } from '../state/event.ts';
import { bootAnswer } from './boot-options.ts';
import type { ClientPlace, Place, ProxyPlace } from './client-address.ts';
import { type DhcpDecision, type DhcpFacts, refuse, silent } from './dhcp-decision.ts';
import { dhcpOption, ipv4Bytes } from './dhcp-options.ts';
import { noAddress } from './dhcp-packet.ts';
import { type DhcpClient, describeClient } from './identify-client.ts';
import { type Destination, replyDestination } from './reply-destination.ts';
import { messageNumber, replyHeader, serverId } from './reply-packet.ts';

/**
 * What to answer on port 67 where another DHCP server gives the addresses (PXE 2.1 §2.2.1): DISCOVER gets an
 * offer without an address, with what to load. All else is said to the other server.
 */
export function decideProxyReply(
  client: DhcpClient,
  facts: DhcpFacts,
  place: ProxyPlace,
): DhcpDecision {
  switch (client.messageType) {
    case 'discover':
      return proxyReply(client, facts, place, {
        type: 'offer',
        to: replyDestination(
          { giaddr: client.relay?.giaddr ?? noAddress, ciaddr: client.ciaddr },
          'offer',
          facts.ports,
        ),
      });
    case 'request':
      return noteAddress(client, place);
    case 'decline':
    case 'release':
    case 'inform':
      return silent(place, 'its message is for the other DHCP server');
  }
}

/**
 * The answer on port 4011 (PXE 2.1 §2.2.3): EDK2 asks there where an offer has no discovery control in option 43,
 * with the address that it has got; it takes an ACK from the port that it asked.
 */
export function answerBootServer(
  client: DhcpClient,
  facts: DhcpFacts,
  place: Exclude<ClientPlace, { kind: 'none' | 'elsewhere' }>,
  asker: Destination,
): DhcpDecision {
  switch (client.messageType) {
    case 'request':
    case 'inform': {
      const address = client.ciaddr === noAddress ? asker.address : client.ciaddr;
      return proxyReply(client, facts, place, { type: 'ack', to: { address, port: asker.port } });
    }
    case 'discover':
    case 'decline':
    case 'release':
      return silent(place, `port 4011 is for REQUEST and INFORM, not for ${client.messageType}`);
  }
}

function proxyReply(
  client: DhcpClient,
  facts: DhcpFacts,
  place: Place | ProxyPlace,
  { type, to }: { readonly type: 'offer' | 'ack'; readonly to: Destination },
): DhcpDecision {
  const boot = bootAnswer(client, facts, 'proxy');
  if (boot.kind === 'none') return refuse(place, boot.reason);
  if (boot.kind === 'nothing') return silent(place, 'it loads nothing');
  const asksBootServer = type === 'ack';
  const event: EventBody = {
    kind: 'proxy-answered',
    port: asksBootServer ? 'boot-server' : 'dhcp',
    via: client.via,
    client: describeClient(client),
    file: boot.file,
    ...(asksBootServer ? { address: to.address } : {}),
  };
  return {
    kind: 'reply',
    packet: {
      ...replyHeader(client),
      ciaddr: asksBootServer ? client.ciaddr : noAddress,
      siaddr: facts.serverAddress,
      sname: facts.serverAddress,
      file: boot.file,
      options: new Map<number, Uint8Array>([
        [dhcpOption.messageType, Uint8Array.of(messageNumber[type])],
        [dhcpOption.serverId, ipv4Bytes(serverId(client, facts))],
        ...boot.options,
        ...client.echo,
      ]),
    },
    maxBytes: client.maxBytes,
    to,
    node: place.name,
    changes: [],
    event,
  };
}

/** Which address the machine takes from the other server; a node that takes another than its own is said. */
function noteAddress(client: DhcpClient, place: ProxyPlace): DhcpDecision {
  const address = client.ciaddr === noAddress ? client.requested : client.ciaddr;
  if (address === undefined) return silent(place, 'its REQUEST names no address');
  const server = client.serverId;
  const { link, name } = place;
  const giver =
    server === undefined ? 'the other DHCP server' : `the other DHCP server, ${server},`;
  const event: EventBody = {
    kind: 'address-taken',
    address,
    ...(server === undefined ? {} : { server }),
    via: client.via,
    ...(link && link.address !== address
      ? {
          warning: `${giver} gave ${address} to ${name}; its role file says ${link.address}: reserve ${link.address} for ${client.mac} there`,
        }
      : {}),
  };
  const reason = `it takes ${address} of the other DHCP server`;
  return { kind: 'ignore', reason, node: name, changes: [], event };
}
