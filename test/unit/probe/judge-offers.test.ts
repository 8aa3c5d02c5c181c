import { describe, expect, it } from 'vitest';
import { type Ipv4, ipv4FromNumber } from '../../../src/net/ipv4.ts';
import {
  type Expected,
  judgeForeignOffers,
  judgeOwnOffer,
  ownOffer,
} from '../../../src/probe/judge-offers.ts';
import type { Heard } from '../../../src/probe/probe-socket.ts';
import { type ClientKind, readServerAnswer } from '../../../src/probe/simulated-client.ts';
import { dhcpOption, ipv4Bytes } from '../../../src/pxe/dhcp-options.ts';
import { packDhcpPacket, parseDhcpPacket } from '../../../src/pxe/dhcp-packet.ts';
import { ip, serverAddress } from '../dhcp/a-dhcp-site.ts';
import { dhcpOut } from '../dhcp/wire-packets.ts';

const none = ipv4FromNumber(0);
const foreign = ip('10.77.0.9');
const inServerMode: Expected = { server: serverAddress, dhcp: 'server' };
const inProxyMode: Expected = { server: serverAddress, dhcp: 'proxy' };

interface Offer {
  readonly server?: Ipv4;
  readonly address?: Ipv4;
  readonly file?: string;
  readonly xid?: number;
}

/** An offer as it was heard, from `server`. */
function heard({
  server = serverAddress,
  address = ip('10.77.0.21'),
  file = 'a',
  xid = 1,
}: Offer): Heard {
  const parsed = parseDhcpPacket(dhcpOut('offer', {}).bytes);
  if (parsed.kind === 'refusal') throw new Error(parsed.reason);
  const { packet } = parsed;
  const options = new Map([...packet.options, [dhcpOption.serverId, ipv4Bytes(server)]] as const);
  const bytes = packDhcpPacket({ ...packet, yiaddr: address, siaddr: server, file, xid, options });
  const answer = readServerAnswer(bytes);
  if (!answer) throw new Error('the test itself is wrong');
  return { answer, bytes, from: server };
}

const kinds = new Map<number, ClientKind>([
  [1, 'bios'],
  [2, 'uefi'],
]);
const judged = (offers: readonly Heard[], expected: Expected) =>
  judgeForeignOffers(offers, kinds, expected, () => '52:54:00:00:00:09').map(
    ({ result, detail, hint }) => `${result}: ${detail} | ${hint}`,
  );

describe('other servers', () => {
  it.each([
    ['none where only ours answers', [heard({})], inServerMode, []],
    [
      'one row of one server, whomever it answered',
      [heard({}), heard({ server: foreign }), heard({ server: foreign, xid: 2 })],
      inServerMode,
      [
        /^wrong: 10\.77\.0\.9 \(MAC 52:54:00:00:00:09\) offers 10\.77\.0\.21 to bios, uefi, and a of 10\.77\.0\.9 to boot \| a foreign/,
      ],
    ],
    [
      'the one that gives the addresses is as it should be',
      [heard({ address: none }), heard({ server: foreign, file: '' })],
      inProxyMode,
      [/^note: 10\.77\.0\.9 .*offers 10\.77\.0\.21 to bios \| $/],
    ],
    [
      'one that gives the addresses and names a boot file is not',
      [heard({ address: none }), heard({ server: foreign, file: 'pxelinux.0' })],
      inProxyMode,
      [/^wrong: .*pxelinux\.0.*\| let it give addresses alone/],
    ],
    [
      'a second proxy is not',
      [heard({ address: none }), heard({ server: foreign, address: none, file: '' })],
      inProxyMode,
      [/^wrong: .*no address.*second proxyDHCP/, /^wrong: nobody on this segment gives an address/],
    ],
    ['another exchange is none of ours', [heard({ server: foreign, xid: 9 })], inServerMode, []],
  ] as const)('%s', (_what, offers, expected, rows) => {
    expect(judged(offers, expected)).toEqual(rows.map((row) => expect.stringMatching(row)));
  });
});

describe('our own offer', () => {
  const own = (offer: Offer | undefined, expected = inServerMode) =>
    judgeOwnOffer('bios', offer && ownOffer([heard(offer)], 1, expected), expected).map(
      ({ result, detail }) => `${result}: ${detail}`,
    );

  it.each([
    [{}, inServerMode, /^ok: 10\.77\.0\.1 offers 10\.77\.0\.21, a$/],
    [{ address: none }, inProxyMode, /^ok: 10\.77\.0\.1 offers no address, a$/],
    [{ address: none }, inServerMode, /^wrong: .*it gives no address$/],
    [{ file: '' }, inServerMode, /^wrong: .*it names no boot file$/],
    [{ server: foreign }, inServerMode, /^wrong: the boot server 10\.77\.0\.1 made it no offer$/],
    [undefined, inServerMode, /^wrong: the boot server 10\.77\.0\.1 made it no offer$/],
  ] as const)('%j in %o', (offer, expected, row) => {
    expect(own(offer, expected)).toEqual([expect.stringMatching(row)]);
  });

  it('is wrong where another reader of DHCP reads something else', () => {
    const offer = heard({});
    const twisted = { ...offer, answer: { ...offer.answer, file: 'b' } };
    expect(judgeOwnOffer('bios', twisted, inServerMode)).toMatchObject([
      { result: 'wrong', detail: expect.stringContaining('its boot file is b or a') },
    ]);
    const cut = { ...offer, bytes: offer.bytes.subarray(0, 200) };
    expect(judgeOwnOffer('bios', cut, inServerMode)).toMatchObject([
      { result: 'wrong', detail: expect.stringContaining('it cannot be read') },
    ]);
  });
});
