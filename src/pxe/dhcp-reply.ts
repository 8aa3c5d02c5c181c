import { cidrContains } from '../net/ipv4.ts';
import { type Place, placeClient } from './client-address.ts';
import { answerInform, noteDecline, noteRelease } from './client-notices.ts';
import { type DhcpDecision, type DhcpFacts, refuse, silent, tellProblem } from './dhcp-decision.ts';
import { dhcpOption } from './dhcp-options.ts';
import { hasRoom, noAddress } from './dhcp-packet.ts';
import { type DhcpClient, describeClient } from './identify-client.ts';
import { offerHold } from './leases.ts';
import { addressFor, bind, forget } from './pool-address.ts';
import { answerBootServer, decideProxyReply } from './proxy-reply.ts';
import { refuseAddress, replyWith, serverId } from './reply-packet.ts';

/** What to answer to a client's message (RFC 2131 §4.3, PXE 2.1 §2.2), as a value; it changes nothing. */
export function decideDhcpReply(client: DhcpClient, facts: DhcpFacts): DhcpDecision {
  const decision = decide(client, facts);
  if (decision.kind === 'ignore' || hasRoom(decision.packet, decision.maxBytes)) return decision;
  const agent = client.echo.get(dhcpOption.relayAgent)?.length ?? 0;
  return refuse(
    { name: decision.node },
    `its relay adds ${agent} bytes of option 82, and an answer of ${decision.maxBytes} bytes has no room to give them back; let the relay add less`,
  );
}

function decide(client: DhcpClient, facts: DhcpFacts): DhcpDecision {
  const place = placeClient(client, facts.site, facts.machine, facts.serverAddress);
  if (place.kind === 'none') return refuse(place, place.reason);
  if (place.kind === 'elsewhere') return silent(place, place.reason);
  if (facts.rival !== undefined) return tellProblem(place, 'address-conflict', facts.rival);
  if (facts.bootServerAsker) return answerBootServer(client, facts, place, facts.bootServerAsker);
  if (place.kind === 'proxy') return decideProxyReply(client, facts, place);
  const named = client.serverId;
  if (named !== undefined && named !== serverId(client, facts)) {
    if (client.messageType !== 'request') {
      return silent(
        place,
        `its ${client.messageType.toUpperCase()} is for the DHCP server ${named}`,
      );
    }
    return tellProblem(
      place,
      'foreign-server',
      `it took the offer of another DHCP server, ${named}: switch that one off, or say dhcp: proxy for network ${place.network.name} in site.yaml`,
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
      return answerInform(client, facts, place);
  }
}

function offer(client: DhcpClient, facts: DhcpFacts, place: Place): DhcpDecision {
  const choice = addressFor(client, facts, place, client.requested);
  if (choice.kind === 'full') {
    const what = `${choice.reason}; widen pool: of network ${place.network.name} in site.yaml`;
    return tellProblem(place, 'pool-full', what);
  }
  const { address } = choice;
  return replyWith('offer', client, facts, place, address, {
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
      facts.leases.of(client.mac) !== undefined || facts.holds.of(client.mac) === wanted;
    if (!known) return silent(place, `it asks for ${wanted} again, of which there is no record`);
  }
  const choice = addressFor(client, facts, place, wanted);
  if (choice.kind === 'full' || choice.address !== wanted) {
    return refuseAddress(client, facts, place, `${wanted} is not its address here`);
  }
  const { address } = choice;
  return replyWith('ack', client, facts, place, address, {
    changes: place.kind === 'pool' ? bind(client.mac, choice, facts) : forget(client, facts),
    event: { kind: 'dhcp-acked', address, via: client.via, client: describeClient(client) },
  });
}
