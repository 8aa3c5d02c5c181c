import {
  type Boot,
  type Finding,
  firstOf,
  platformOf,
  type Rule,
  seconds,
} from './boot-finding.ts';

/** What is known of a boot before its loader. The end of a boot first. */
export const dhcpRules: readonly Rule[] = [
  tookOtherServer,
  romWantsOneOffer,
  bootServerAsked,
  addressRefused,
  acknowledgedWithoutLoader,
  offerNotTaken,
  askedWithoutAnswer,
];

function tookOtherServer({ steps, last }: Boot): Finding | undefined {
  if (last.kind !== 'dhcp-asked' || last.type !== 'request' || last.port === 4011) return undefined;
  const offer = steps.findLast((s) => s.kind === 'dhcp-answered' && s.type === 'offer');
  const own = offer?.kind === 'dhcp-answered' ? offer : undefined;
  if (last.serverId === undefined || !own || own.serverId === last.serverId) return undefined;
  // Beside a server that gives the addresses this is as it should be.
  if (!own.givesAddress) return undefined;
  return {
    ...{ since: last.at, patience: 5 * seconds },
    verdict: `two servers made it an offer, and it took that of the DHCP server ${last.serverId}`,
    hint: `turn that one off on this segment, or let it give the addresses alone: dhcp: proxy in the network of site.yaml. ip neighbour show ${last.serverId} shows its MAC`,
  };
}

function romWantsOneOffer({ steps }: Boot): Finding | undefined {
  const offer = steps.findLast((s) => s.kind === 'dhcp-answered' && s.type === 'offer');
  if (offer?.kind !== 'dhcp-answered' || offer.givesAddress) return undefined;
  if (steps.some((s) => s.kind.startsWith('tftp') || s.kind.startsWith('http'))) return undefined;
  if (steps.some((s) => s.kind === 'dhcp-asked' && s.port === 4011)) return undefined;
  const took = steps.some((s) => s.kind === 'dhcp-asked' && s.type === 'request');
  return {
    ...{ since: firstOf(steps, (s) => s.kind === 'dhcp-answered'), patience: 12 * seconds },
    verdict: took
      ? 'the boot offer was sent, it took its address from the other DHCP server, and asked nothing on port 4011'
      : 'the boot offer was sent; no REQUEST came, and nothing on port 4011',
    hint: took
      ? 'this ROM wants one full offer: say dhcp: server in the network of site.yaml, or use HTTP Boot'
      : 'does the other DHCP server give it an address at all? If so, this ROM wants one full offer: dhcp: server in the network of site.yaml, or HTTP Boot',
  };
}

function bootServerAsked({ last }: Boot): Finding | undefined {
  if (last.kind !== 'dhcp-asked' && last.kind !== 'dhcp-answered') return undefined;
  if (last.port !== 4011) return undefined;
  return last.kind === 'dhcp-asked'
    ? {
        ...{ since: last.at, patience: 5 * seconds },
        verdict: 'it asked on port 4011 and got no answer',
        hint: "the server's log says why",
      }
    : {
        ...{ since: last.at, patience: 15 * seconds },
        verdict: `it was told ${last.file || 'its boot file'} on port 4011 and does not fetch it`,
        hint: 'is UDP port 69 of this server open in the firewall? With a ROM that starts nothing so: dhcp: server in the network of site.yaml, or HTTP Boot',
      };
}

function addressRefused({ last }: Boot): Finding | undefined {
  if (last.kind !== 'dhcp-answered' || last.type !== 'nak') return undefined;
  return {
    ...{ since: last.at, patience: 30 * seconds },
    verdict: 'the address that it asked for was refused',
    hint: 'firmware that knows its trade asks for another; one that does not needs to be switched off and on',
  };
}

function acknowledgedWithoutLoader({ last, steps }: Boot): Finding | undefined {
  if (last.kind !== 'dhcp-answered' || last.type !== 'ack' || last.speaker === 'os')
    return undefined;
  const url = /^https?:/.test(last.file);
  const relayed = last.file === '';
  return {
    ...{ since: last.at, patience: 15 * seconds },
    verdict: relayed
      ? 'it has its address, and was told of nothing to boot'
      : `it has its address and does not ask for its loader ${last.file}`,
    hint: relayed
      ? `${platformOf(steps)} has no loader here`
      : `is ${url ? 'the TCP port of that URL' : 'UDP port 69'} of this server open in the firewall, and has the machine a route to it (gateway: of its network)? Does another DHCP server tell it something else to boot? rolecall probe finds it`,
  };
}

function offerNotTaken({ steps, last }: Boot): Finding | undefined {
  const offer = steps.findLast((s) => s.kind === 'dhcp-answered' && s.type === 'offer');
  if (!offer || (last.kind === 'dhcp-asked' && last.type === 'request')) return undefined;
  return {
    ...{ since: firstOf(steps, (s) => s.kind === 'dhcp-answered'), patience: 12 * seconds },
    verdict: 'an offer was sent, and it does not take it',
    hint: 'the offer does not reach it (a firewall or DHCP snooping on the switch: trust the port of this server; behind a relay: the way back to it), or it got a better one from another DHCP server: rolecall probe finds it',
  };
}

function askedWithoutAnswer({ steps, last }: Boot): Finding | undefined {
  if (last.kind !== 'dhcp-asked') return undefined;
  return {
    ...{ since: firstOf(steps, (s) => s.kind === 'dhcp-asked'), patience: 5 * seconds },
    verdict: 'it asks DHCP and gets no answer from here',
    hint: "the server's log says why: a machine that site.yaml ignores (unknown: ignore), a full pool, no loader for it, a network that is not served",
  };
}
