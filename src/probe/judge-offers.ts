import type { Ipv4 } from '../net/ipv4.ts';
import { noAddress } from '../pxe/dhcp-packet.ts';
import type { Heard } from './probe-socket.ts';
import { disagreements } from './second-reader.ts';
import type { ClientKind } from './simulated-client.ts';

/** One thing that the probe saw; a row of `probe --json`. */
export interface ProbeRow {
  /** Which simulated machine, or `segment` for what concerns all of them. */
  readonly client: ClientKind | 'segment';
  readonly step: string;
  /** `note` is worth knowing and nothing wrong. */
  readonly result: 'ok' | 'wrong' | 'note';
  readonly detail: string;
  /** What to do; empty where nothing is wrong. */
  readonly hint: string;
}

/** Who is expected to answer. */
export interface Expected {
  /** The boot server's address on this network. */
  readonly server: Ipv4;
  readonly dhcp: 'server' | 'proxy';
}

/** Who a server says that it is; its datagram's source where it does not say. */
export function serverOf({ answer, from }: Heard): string {
  return answer.serverId ?? from;
}

/** Our server's offer of this exchange. */
export function ownOffer(
  heard: readonly Heard[],
  xid: number,
  { server }: Expected,
): Heard | undefined {
  return heard.find(
    (h) =>
      h.answer.type === 'offer' &&
      h.answer.xid === xid &&
      (serverOf(h) === server || h.from === server),
  );
}

/** What our server offers one machine, and whether that is an offer to boot by. */
export function judgeOwnOffer(
  kind: ClientKind,
  own: Heard | undefined,
  expected: Expected,
): readonly ProbeRow[] {
  if (!own) {
    return [
      {
        ...{ client: kind, step: 'offer', result: 'wrong' },
        detail: `the boot server ${expected.server} made it no offer`,
        hint: "is it running, and on this segment? Its log says why it does not answer: unknown: ignore, a full pool, no loader. --mac takes a node's MAC",
      },
    ];
  }
  const { answer, bytes } = own;
  const file = answer.file || 'nothing to boot';
  const gives = answer.address !== noAddress;
  const wrongs: [string, string][] = [
    ...(gives || expected.dhcp === 'proxy'
      ? []
      : [
          ['it gives no address', 'site.yaml says dhcp: server; is it the site that runs?'] as [
            string,
            string,
          ],
        ]),
    ...(answer.file
      ? []
      : [['it names no boot file', "the server's log says why"] as [string, string]]),
    ...disagreements(bytes, answer).map((words): [string, string] => [
      `another reader of DHCP differs: ${words}`,
      'a fault of the boot server: report it',
    ]),
  ];
  const what = `${expected.server} offers ${gives ? answer.address : 'no address'}, ${file}`;
  return wrongs.length === 0
    ? [{ client: kind, step: 'offer', result: 'ok', detail: what, hint: '' }]
    : wrongs.map(([words, hint]) => ({
        ...{ client: kind, step: 'offer', result: 'wrong', hint },
        detail: `${what}: ${words}`,
      }));
}

/** Every other server that made an offer, each once, whichever of the machines it answered. */
export function judgeForeignOffers(
  heard: readonly Heard[],
  kinds: ReadonlyMap<number, ClientKind>,
  expected: Expected,
  macOf: (address: string) => string | undefined,
): readonly ProbeRow[] {
  const offers = heard.filter((h) => h.answer.type === 'offer' && kinds.has(h.answer.xid));
  const foreign = offers.filter(
    (h) => serverOf(h) !== expected.server && h.from !== expected.server,
  );
  const servers = [...new Set(foreign.map(serverOf))].toSorted();
  const rows = servers.map((server): ProbeRow => {
    const its = foreign.filter((h) => serverOf(h) === server);
    const to = [...new Set(its.map((h) => kinds.get(h.answer.xid)))].join(', ');
    const first = its[0] as Heard;
    const gives = its.find((h) => h.answer.address !== noAddress)?.answer.address;
    const boots = its.find((h) => h.answer.file !== '')?.answer;
    const mac = macOf(first.from);
    const detail = [
      `${server}${mac ? ` (MAC ${mac})` : ''} offers ${gives ?? 'no address'} to ${to}`,
      ...(boots ? [`and ${boots.file} of ${boots.nextServer} to boot`] : []),
    ].join(', ');
    const helps = expected.dhcp === 'proxy' && gives !== undefined && !boots;
    return {
      ...{ client: 'segment', step: 'other server', result: helps ? 'note' : 'wrong', detail },
      hint: helps ? '' : foreignHint(server, expected, boots !== undefined),
    };
  });
  const lacks = expected.dhcp === 'proxy' && !offers.some((h) => h.answer.address !== noAddress);
  return [
    ...rows,
    ...(lacks
      ? [
          {
            ...({ client: 'segment', step: 'other server', result: 'wrong' } as const),
            detail: 'nobody on this segment gives an address',
            hint: 'site.yaml says dhcp: proxy, so another DHCP server has to; or say dhcp: server',
          },
        ]
      : []),
  ];
}

function foreignHint(server: string, { dhcp }: Expected, boots: boolean): string {
  if (dhcp === 'proxy') {
    return boots
      ? `let it give addresses alone: take its boot file (next-server, options 66 and 67) out`
      : `it makes an offer without an address, as a second proxyDHCP server does: turn that off`;
  }
  return `a foreign DHCP server: machines take the offer that comes first. Turn it off on this segment, or say dhcp: proxy in site.yaml; ip neighbour show ${server} and the switch's MAC table lead to its port`;
}
