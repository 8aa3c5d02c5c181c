import { describe, expect, it } from 'vitest';
import { identifyMachine } from '../../../src/boot/identify-machine.ts';
import type { DhcpFacts } from '../../../src/pxe/dhcp-decision.ts';
import { readText } from '../../../src/pxe/dhcp-options.ts';
import { packDhcpPacket } from '../../../src/pxe/dhcp-packet.ts';
import { decideDhcpReply } from '../../../src/pxe/dhcp-reply.ts';
import { declineHold, leaseSeconds, offerHold } from '../../../src/pxe/leases.ts';
import { renderAutoexec } from '../../../src/pxe/loader-scriptlet.ts';
import type { SiteNode } from '../../../src/site/site.ts';
import type { Lease } from '../../../src/state/leases.ts';
import { aDhcpSite, aNode, ip, link, mac, serverAddress, strangerMac } from './a-dhcp-site.ts';
import { addressFacts } from './address-facts.ts';
import { client, type Said, speaker } from './messages.ts';

const now = 1_800_000_000_000;

type Change = Partial<Omit<DhcpFacts, 'leases' | 'holds' | 'pools'>> & {
  readonly leases?: readonly Lease[];
};

function decide(said: Said, { leases = [], ...change }: Change = {}) {
  const who = client(said);
  const site = change.site ?? aDhcpSite();
  const { port } = who;
  return decideDhcpReply(who, {
    site,
    machine: identifyMachine(site, {
      mac: who.mac,
      ...(who.uuid === undefined ? {} : { uuid: who.uuid }),
      ...(port === undefined ? {} : { port }),
    }),
    serverAddress,
    httpServer: 'http://10.77.0.1',
    ...addressFacts(now, { leases }),
    isOurLoader: false,
    ports: { server: 67, client: 68 },
    now,
    ...change,
  });
}

function replied(said: Said, change?: Change) {
  const decision = decide(said, change);
  if (decision.kind === 'ignore') throw new Error(decision.reason);
  return decision;
}

function ignored(said: Said, change?: Change) {
  const decision = decide(said, change);
  if (decision.kind === 'reply') throw new Error('it is answered');
  return decision;
}

const types: Readonly<Record<number, string>> = { 2: 'offer', 5: 'ack', 6: 'nak' };

/** Type and address of the answer: `ack 10.77.0.21`; the reason where there is none. */
function answer(said: Said, change?: Change): string {
  const decision = decide(said, change);
  if (decision.kind === 'ignore') return decision.reason;
  const type = types[decision.packet.options.get(53)?.[0] ?? 0];
  return type === 'nak' ? 'nak' : `${type} ${decision.packet.yiaddr}`;
}

const options = (said: Said, change?: Change) =>
  Object.fromEntries(
    [...replied(said, change).packet.options].map(([code, value]) => [code, [...value]]),
  );
const text = (said: Said, code: number, change?: Change) =>
  readText(replied(said, change).packet.options.get(code));

const stranger = strangerMac;
const strangerLease: Lease = {
  mac: stranger,
  address: ip('10.77.0.202'),
  expires: now + 1000,
  boundAt: 7,
};

describe('a node', () => {
  it('is offered the address of its role file, and nothing is kept of that', () => {
    const decision = replied({ broadcast: true });
    expect(decision).toMatchObject({
      node: 'web1',
      to: { address: '255.255.255.255', port: 68 },
      changes: [],
      event: { kind: 'dhcp-offered', address: '10.77.0.21', via: 'os', client: 'operating system' },
      packet: { op: 'reply', yiaddr: '10.77.0.21', xid: 0x12345678, broadcast: true },
    });
  });

  it('gets what its network and site say', () => {
    expect(options({ type: 'request', serverId: '10.77.0.1', requested: '10.77.0.21' })).toEqual({
      53: [5],
      54: [10, 77, 0, 1],
      51: [0, 0, 0xa8, 0xc0],
      1: [255, 255, 255, 0],
      3: [10, 77, 0, 254],
      6: [192, 0, 2, 53],
      12: [...Buffer.from('web1')],
      15: [...Buffer.from('tokyo.example')],
      28: [10, 77, 0, 255],
      42: [10, 77, 0, 1],
      58: [0, 0, 0x54, 0x60],
      59: [0, 0, 0x93, 0xa8],
    });
  });

  it('has one address by each of its cards on the network', () => {
    expect(answer({ mac: '52:54:00:00:00:11' })).toBe('offer 10.77.0.11');
    expect(answer({ mac: '52:54:00:00:00:12' })).toBe('offer 10.77.0.11');
  });

  it('gets no router on the link by which its default route does not leave, but its firmware does', () => {
    const router = (speaks: Said['options'] = {}) =>
      options({ mac: '52:54:00:00:00:11', options: speaks })[3];
    expect(router()).toBeUndefined();
    expect(router(speaker.bios)).toEqual([10, 77, 0, 254]);
  });

  it('is told that a card is on the wrong switch', () => {
    expect(ignored({ mac: '52:54:00:00:00:13' })).toMatchObject({
      node: 'lb1',
      event: { kind: 'dhcp-refused' },
      reason:
        '52:54:00:00:00:13 is the NIC of lb1 for network outside, but it asks on boot: is it on the wrong switch?',
    });
  });

  it('known by its UUID alone gets the address of its link here, by whatever card', () => {
    const uuid = '11223344-5566-7788-99aa-bbccddeeff00';
    const node = aNode('db1', [link('boot', '10.77.0.31', [], true)], { macs: [], uuid });
    const raw = Buffer.from('0044332211665588 7799aabbccddeeff00'.replace(' ', ''), 'hex');
    expect(
      answer(
        { mac: '52:54:00:00:00:31', options: { 97: raw } },
        { site: aDhcpSite({ nodes: [node] }) },
      ),
    ).toBe('offer 10.77.0.31');
  });

  it('with no link here is told so', () => {
    const node = aNode('far1', [link('rack2', '10.78.0.21', [], true)], { macs: [stranger] });
    expect(answer({ mac: stranger }, { site: aDhcpSite({ nodes: [node] }) })).toBe(
      'nodes/far1.yaml has no link on network boot, only on rack2',
    );
  });

  it('that two role files claim is refused with both names', () => {
    const uuid = '11223344-5566-7788-99aa-bbccddeeff00';
    const node = aNode('db1', [link('boot', '10.77.0.31', [], true)], { macs: [], uuid });
    const raw = Buffer.from('00443322116655887799aabbccddeeff00', 'hex');
    expect(answer({ options: { 97: raw } }, { site: aDhcpSite({ nodes: [node] }) })).toBe(
      'its mac is in nodes/web1.yaml, its uuid is in nodes/db1.yaml',
    );
  });

  it('that was a spare gives its place in the pool back', () => {
    const node = aNode('web3', [link('boot', '10.77.0.23', [stranger], true)]);
    const site = aDhcpSite({ nodes: [node] });
    const said: Said = {
      mac: stranger,
      type: 'request',
      serverId: '10.77.0.1',
      requested: '10.77.0.23',
    };
    expect(replied(said, { site, leases: [strangerLease] }).changes).toEqual([
      { kind: 'delete', mac: stranger },
    ]);
  });
});

describe('REQUEST of a node', () => {
  const web1 = (said: Said) => answer({ type: 'request', ...said });
  it.each<[string, Said, string]>([
    ['selecting', { serverId: '10.77.0.1', requested: '10.77.0.21' }, 'ack 10.77.0.21'],
    ['selecting another address', { serverId: '10.77.0.1', requested: '10.77.0.22' }, 'nak'],
    ['init-reboot', { requested: '10.77.0.21' }, 'ack 10.77.0.21'],
    ['init-reboot with the address of a former role', { requested: '10.77.0.200' }, 'nak'],
    ['init-reboot with an address of another network', { requested: '192.168.0.7' }, 'nak'],
    ['renewing or rebinding', { ciaddr: '10.77.0.21' }, 'ack 10.77.0.21'],
    ['renewing another address', { ciaddr: '10.77.0.200' }, 'nak'],
    ['of nothing', {}, 'its REQUEST names no address'],
    [
      'selecting another server',
      { serverId: '10.77.0.9', requested: '10.77.0.21' },
      'it took the offer of another DHCP server, 10.77.0.9: switch that one off, or say dhcp: proxy for network boot in site.yaml',
    ],
  ])('%s', (_what, said, expected) => {
    expect(web1(said)).toBe(expected);
  });

  it('is answered to its address where it has one', () => {
    expect(replied({ type: 'request', ciaddr: '10.77.0.21' }).to).toEqual({
      address: '10.77.0.21',
      port: 68,
    });
  });

  it('refused is answered to everyone, with a reason and without an address', () => {
    const decision = replied({ type: 'request', ciaddr: '10.77.0.200' });
    expect(decision).toMatchObject({
      to: { address: '255.255.255.255', port: 68 },
      packet: { ciaddr: '0.0.0.0', yiaddr: '0.0.0.0', siaddr: '0.0.0.0', file: '' },
      event: { kind: 'dhcp-refused', reason: '10.77.0.200 is not its address here' },
    });
    expect([...decision.packet.options.keys()]).toEqual([53, 54, 56]);
  });
});

describe('an unknown machine', () => {
  it('is offered an address of the pool, which is held for it', () => {
    const decision = replied({ mac: stranger });
    expect(decision).toMatchObject({
      node: 'spare-525400000099',
      packet: { yiaddr: '10.77.0.200' },
    });
    expect(decision.changes).toEqual([
      { kind: 'hold', address: '10.77.0.200', hold: { mac: stranger, until: now + offerHold } },
    ]);
  });

  it('has its lease written before the ACK leaves', () => {
    const said: Said = {
      mac: stranger,
      type: 'request',
      serverId: '10.77.0.1',
      requested: '10.77.0.200',
    };
    expect(replied(said).changes).toEqual([
      {
        kind: 'put',
        lease: {
          mac: stranger,
          address: '10.77.0.200',
          expires: now + leaseSeconds * 1000,
          boundAt: now,
        },
      },
      { kind: 'unhold', mac: stranger },
    ]);
  });

  it.each([
    ['firmware', { ...speaker.bios, 61: Uint8Array.of(0, ...Array(16).fill(7)) }],
    ['UEFI firmware, which sends none', speaker.uefi],
    ['loader', { ...speaker.rolecall, 61: Uint8Array.of(1, 82, 84, 0, 0, 0, 153) }],
    ['operating system', { 61: Uint8Array.of(255, 1, 2, 3, 4, 0, 2) }],
  ])('has one address and one lease, whatever client id its %s sends', (_who, options) => {
    const known = { leases: [strangerLease] };
    expect(answer({ mac: stranger, options }, known)).toBe('offer 10.77.0.202');
    const said: Said = { mac: stranger, type: 'request', serverId: '10.77.0.1', options };
    const { changes } = replied({ ...said, requested: '10.77.0.202' }, known);
    expect(changes.filter((change) => change.kind === 'put')).toMatchObject([
      { lease: { mac: stranger, address: '10.77.0.202', boundAt: strangerLease.boundAt } },
    ]);
  });

  it('keeps the time at which it came', () => {
    const { changes } = replied(
      { mac: stranger, type: 'request', ciaddr: '10.77.0.202' },
      { leases: [strangerLease] },
    );
    expect(changes[0]).toEqual({
      kind: 'put',
      lease: { ...strangerLease, expires: now + leaseSeconds * 1000 },
    });
  });

  it('has a lease of another length where the server gives one', () => {
    const { packet, changes } = replied(
      { mac: stranger, type: 'request', ciaddr: '10.77.0.202' },
      { leases: [strangerLease], leaseSeconds: 10 },
    );
    expect(changes[0]).toMatchObject({ lease: { expires: now + 10_000 } });
    const seconds = [51, 58, 59].map((code) => packet.options.get(code)?.at(-1));
    expect(seconds).toEqual([10, 5, 8]);
  });

  it('ends the expired lease whose address it gets', () => {
    const leases = [200, 201, 202, 203].map((n) => ({
      mac: mac(`52:54:00:00:01:${n.toString(16)}`),
      address: ip(`10.77.0.${n}`),
      expires: now - n,
      boundAt: 0,
    }));
    const said: Said = {
      mac: stranger,
      type: 'request',
      serverId: '10.77.0.1',
      requested: '10.77.0.203',
    };
    expect(replied(said, { leases }).changes[0]).toEqual({
      kind: 'delete',
      mac: '52:54:00:00:01:cb',
    });
  });

  it('is refused with a reason where the pool is full', () => {
    const leases = [200, 201, 202, 203].map((n) => ({
      mac: mac(`52:54:00:00:01:${n.toString(16)}`),
      address: ip(`10.77.0.${n}`),
      expires: now + 1,
      boundAt: 0,
    }));
    expect(ignored({ mac: stranger }, { leases })).toMatchObject({
      reason:
        'all 4 addresses of the pool 10.77.0.200-10.77.0.203 are in use; widen pool: of network boot in site.yaml',
      event: { kind: 'dhcp-problem', problem: 'pool-full' },
    });
  });

  const request = (said: Said, leases: readonly Lease[] = []) =>
    answer({ mac: stranger, type: 'request', ...said }, { leases });
  it.each<[string, Said, readonly Lease[], string]>([
    ['init-reboot, known', { requested: '10.77.0.202' }, [strangerLease], 'ack 10.77.0.202'],
    ['init-reboot, known elsewhere', { requested: '10.77.0.201' }, [strangerLease], 'nak'],
    [
      'init-reboot, no record: silence (RFC 2131 §4.3.2)',
      { requested: '10.77.0.201' },
      [],
      'it asks for 10.77.0.201 again, of which there is no record',
    ],
    ['init-reboot, another network', { requested: '192.168.0.7' }, [], 'nak'],
    [
      'selecting, offered',
      { serverId: '10.77.0.1', requested: '10.77.0.202' },
      [strangerLease],
      'ack 10.77.0.202',
    ],
    [
      "selecting another's address",
      { serverId: '10.77.0.1', requested: '10.77.0.202' },
      [{ ...strangerLease, mac: mac('52:54:00:00:01:01') }],
      'nak',
    ],
    [
      'selecting what is no address of the pool',
      { serverId: '10.77.0.1', requested: '10.77.0.21' },
      [],
      'nak',
    ],
    [
      'rebinding, by broadcast, to its address and with an id of this server',
      { ciaddr: '10.77.0.202', broadcast: true, serverId: '10.77.0.1' },
      [strangerLease],
      'ack 10.77.0.202',
    ],
    ['renewing', { ciaddr: '10.77.0.202' }, [strangerLease], 'ack 10.77.0.202'],
    [
      'renewing a lease of which the record is lost',
      { ciaddr: '10.77.0.201' },
      [],
      'ack 10.77.0.201',
    ],
    [
      "renewing what is another's by now",
      { ciaddr: '10.77.0.202' },
      [{ ...strangerLease, mac: mac('52:54:00:00:01:01') }],
      'nak',
    ],
    ['renewing what is no address of the pool', { ciaddr: '10.77.0.21' }, [], 'nak'],
  ])('%s', (_what, said, leases, expected) => {
    expect(request(said, leases)).toBe(expected);
  });

  it('that chooses another server loses its offer, and that is a problem with an address', () => {
    const decision = ignored({ mac: stranger, type: 'request', serverId: '10.77.0.9' });
    expect(decision.changes).toEqual([{ kind: 'unhold', mac: stranger }]);
    expect(decision.event).toMatchObject({
      kind: 'dhcp-problem',
      problem: 'foreign-server',
      reason: expect.stringContaining('another DHCP server, 10.77.0.9: switch that one off'),
    });
  });

  it.each(['decline', 'release'] as const)(
    'says %s to another server: no matter of ours',
    (type) => {
      const lost: Said = { mac: stranger, type, serverId: '10.77.0.9', ciaddr: '10.77.0.202' };
      const decision = ignored({ ...lost, requested: '10.77.0.202' }, { leases: [strangerLease] });
      expect(decision).toMatchObject({ changes: [] });
      expect(decision.event).toBeUndefined();
    },
  );

  it.each([
    ['site.yaml says unknown: ignore', aDhcpSite({ unknown: 'ignore' }), /unknown: ignore/],
    [
      'there is no pool',
      aDhcpSite({ pool: 'none' }),
      /rolecall node add <name> --mac 52:54:00:00:00:99/,
    ],
  ])('is refused where %s', (_what, site, reason) => {
    expect(ignored({ mac: stranger }, { site }).reason).toMatch(reason);
  });
});

describe('DECLINE, RELEASE, INFORM', () => {
  const declined: Said = {
    mac: stranger,
    type: 'decline',
    serverId: '10.77.0.1',
    requested: '10.77.0.202',
  };

  it('takes a declined address out of the pool for an hour, and says what to look for', () => {
    const decision = ignored(declined, { leases: [strangerLease] });
    expect(decision.reason).toBe(
      'another machine already uses 10.77.0.202; look for it with: arping 10.77.0.202',
    );
    expect(decision.event).toMatchObject({ kind: 'dhcp-problem', problem: 'address-conflict' });
    expect(decision.changes).toEqual([
      { kind: 'delete', mac: stranger },
      { kind: 'unhold', mac: stranger },
      { kind: 'hold', address: '10.77.0.202', hold: { until: now + declineHold } },
    ]);
  });

  it('lets nobody decline the address of another machine', () => {
    const leases = [{ ...strangerLease, mac: mac('52:54:00:00:01:01') }];
    expect(ignored(declined, { leases })).toMatchObject({
      reason: 'it declines 10.77.0.202, which it was not given',
      changes: [],
    });
  });

  it('lets nobody decline a free address', () => {
    expect(ignored(declined).changes).toEqual([]);
  });

  it("does not take a node's address from it", () => {
    const decision = ignored({ type: 'decline', serverId: '10.77.0.1', requested: '10.77.0.21' });
    const event = { kind: 'dhcp-problem', problem: 'address-conflict' };
    expect(decision).toMatchObject({ node: 'web1', changes: [], event });
  });

  it('ends a released lease and remembers whose address it was', () => {
    const said: Said = {
      mac: stranger,
      type: 'release',
      serverId: '10.77.0.1',
      ciaddr: '10.77.0.202',
    };
    const decision = ignored(said, { leases: [strangerLease] });
    expect(decision.changes).toEqual([{ kind: 'put', lease: { ...strangerLease, expires: now } }]);
    expect(decision.event).toBeUndefined();
  });

  it("lets nobody release another machine's lease", () => {
    const said: Said = {
      mac: stranger,
      type: 'release',
      serverId: '10.77.0.1',
      ciaddr: '10.77.0.201',
    };
    expect(ignored(said, { leases: [strangerLease] }).changes).toEqual([]);
  });

  it('answers INFORM to its address with options and no lease', () => {
    const decision = replied({ type: 'inform', ciaddr: '10.77.0.77' });
    expect(decision).toMatchObject({
      packet: { yiaddr: '0.0.0.0', ciaddr: '10.77.0.77' },
      to: { address: '10.77.0.77', port: 68 },
      changes: [],
    });
    expect(decision.event).toBeUndefined();
    const sent = [...decision.packet.options.keys()];
    expect(sent).toEqual(expect.arrayContaining([53, 54, 1, 3, 6, 15, 42]));
    expect(sent.filter((code) => [51, 58, 59].includes(code))).toEqual([]);
  });
});

describe('networks and relays', () => {
  const agent = Uint8Array.of(1, 4, 103, 101, 48, 49);

  it('a relay decides the network, gets the answer, and its option 82 back as the last', () => {
    const said: Said = { mac: stranger, giaddr: '10.78.0.254', options: { 82: agent } };
    const decision = replied(said);
    expect(decision).toMatchObject({
      packet: { yiaddr: '10.78.0.200', giaddr: '10.78.0.254' },
      to: { address: '10.78.0.254', port: 67 },
    });
    expect(decision.packet.options.get(82)).toEqual(agent);
    expect(options(said)[54]).toEqual([10, 77, 0, 1]);
    const bytes = packDhcpPacket(decision.packet);
    expect([...bytes.subarray(0, bytes.lastIndexOf(255)).subarray(-8)]).toEqual([82, 6, ...agent]);
  });

  it('a relay may name the subnet (RFC 3527) and the server to show (RFC 5107)', () => {
    const both = Uint8Array.of(5, 4, 10, 78, 0, 0, 11, 4, 10, 78, 0, 254);
    const said: Said = { mac: stranger, giaddr: '10.79.0.254', options: { 82: both } };
    expect(answer(said)).toBe('offer 10.78.0.200');
    expect(options(said)[54]).toEqual([10, 78, 0, 254]);
    const request: Said = {
      ...said,
      type: 'request',
      requested: '10.78.0.200',
      serverId: '10.78.0.254',
    };
    expect(answer(request)).toBe('ack 10.78.0.200');
  });

  it('a refusal through a relay is broadcast by it', () => {
    const said: Said = {
      mac: stranger,
      giaddr: '10.78.0.254',
      type: 'request',
      requested: '192.168.0.7',
    };
    expect(replied(said)).toMatchObject({
      packet: { broadcast: true },
      to: { address: '10.78.0.254', port: 67 },
    });
  });

  it('knows a node by its switch port', () => {
    const node = aNode('rack-a', [link('boot', '10.77.0.41', [], true)], {
      macs: [],
      port: 'ge01',
    });
    const site = aDhcpSite({ nodes: [node] });
    expect(answer({ mac: stranger, giaddr: '10.77.0.254', options: { 82: agent } }, { site })).toBe(
      'offer 10.77.0.41',
    );
  });

  it('a client that renews directly is on the network of its address', () => {
    const lease = { ...strangerLease, address: ip('10.78.0.201') };
    const said: Said = { mac: stranger, type: 'request', ciaddr: '10.78.0.201' };
    expect(answer(said, { leases: [lease] })).toBe('ack 10.78.0.201');
  });

  it.each<[string, Said, Change, RegExp]>([
    ['an unknown relay', { giaddr: '172.16.0.1' }, {}, /relay 172\.16\.0\.1, and no network/],
    ['dhcp: off', {}, { site: aDhcpSite({ boot: { dhcp: 'off' } }) }, /dhcp: off for network boot/],
    [
      'no network',
      {},
      { serverAddress: ip('10.9.9.9') },
      /no network .* has the server 10\.9\.9\.9/,
    ],
  ])('%s is refused with words', (_what, said, facts, reason) => {
    expect(ignored(said, facts).reason).toMatch(reason);
  });
});

describe('what a client loads next', () => {
  const script =
    // biome-ignore lint/suspicious/noTemplateCurlyInString: iPXE expands these.
    'http://10.77.0.1/boot/script?mac=52:54:00:00:00:21&uuid=${uuid}&serial=${serial:uristring}';

  it.each([
    ['BIOS firmware', speaker.bios, 'boot/loader/undionly.kpxe'],
    ['a ROM without architecture', { 60: 'PXEClient' }, 'boot/loader/undionly.kpxe'],
    ['UEFI firmware', speaker.uefi, 'boot/loader/ipxe.efi'],
    [
      'UEFI firmware by the other number',
      { ...speaker.uefi, 93: Uint8Array.of(0, 9) },
      'boot/loader/ipxe.efi',
    ],
    ['UEFI HTTP Boot', speaker.http, 'http://10.77.0.1/boot/loader/ipxe.efi'],
    ['an iPXE that is not ours', speaker.ipxe, 'boot/loader/undionly.kpxe'],
    ['our loader', speaker.rolecall, script],
    [
      'our loader on arm64',
      { ...speaker.rolecall, 93: Uint8Array.of(0, 11) },
      `${script}&arch=arm64`,
    ],
    [
      'a loader that only names an architecture',
      { 93: Uint8Array.of(0, 7) },
      'boot/loader/ipxe.efi',
    ],
  ])('%s', (_what, speaks, file) => {
    const { packet } = replied({ options: speaks });
    expect(packet).toMatchObject({ file, siaddr: '10.77.0.1', sname: '10.77.0.1' });
    expect(packet.options.get(67)).toEqual(Buffer.from(`${file}\0`));
  });

  it('is as the site and the role file wish', () => {
    const signed = { site: { ...aDhcpSite(), secureBoot: true } };
    expect(replied({ options: speaker.uefi }, signed).packet.file).toBe('boot/loader/shimx64.efi');
    expect(replied({ options: speaker.http }, signed).packet.file).toBe(
      'http://10.77.0.1/boot/loader/shimx64.efi',
    );
    expect(replied({ options: speaker.bios }, signed).packet.file).toMatch(/undionly.kpxe$/);
    const site = aDhcpSite();
    const web1 = { ...site.nodes.get('web1'), loader: 'firmware' } as SiteNode;
    const nodes = new Map(site.nodes).set('web1', web1);
    expect(replied({ options: speaker.uefi }, { site: { ...site, nodes } }).packet.file).toBe(
      'boot/loader/snponly.efi',
    );
  });

  it('is the script for an iPXE that fetched our loader just now', () => {
    expect(replied({ options: speaker.ipxe }, { isOurLoader: true }).packet.file).toBe(script);
    expect(replied({ options: speaker.bios }, { isOurLoader: true }).packet.file).toBe(
      'boot/loader/undionly.kpxe',
    );
  });

  it('is nothing for an operating system', () => {
    const { packet } = replied({});
    expect(packet).toMatchObject({ file: '', sname: '', siaddr: '0.0.0.0' });
    expect([66, 67, 60, 43, 175].filter((code) => packet.options.has(code))).toEqual([]);
  });

  it('is told of where there is no loader for it', () => {
    const arm = { 60: 'PXEClient:Arch:00010:UNDI:003016', 93: Uint8Array.of(0, 10) };
    expect(answer({ options: arm })).toBe('there is no loader for UEFI ARM (32 bit)');
    expect(answer({ options: { 60: 'PXEClient', 93: Uint8Array.of(0, 99) } })).toBe(
      'there is no loader for architecture 99',
    );
  });

  it('PXE firmware is told to take the file of this offer: option 60 never without option 43', () => {
    for (const speaks of [speaker.bios, speaker.uefi]) {
      expect(text({ options: speaks }, 60)).toBe('PXEClient');
      expect(options({ options: speaks })[43]).toEqual([6, 1, 8, 255]);
      expect(text({ options: speaks }, 66)).toBe('10.77.0.1');
    }
  });

  it('HTTP Boot firmware is told HTTPClient and nothing of PXE', () => {
    expect(text({ options: speaker.http }, 60)).toBe('HTTPClient');
    expect(options({ options: speaker.http })[43]).toBeUndefined();
  });

  it('iPXE is told not to wait for a proxyDHCP server, and firmware hands our line to our loader', () => {
    const ours = Buffer.from(options({ options: speaker.bios })[175] ?? []);
    expect([...ours.subarray(0, 4)]).toEqual([0xb0, 1, 1, 0x51]);
    expect(ours[4]).toBe(ours.length - 5);
    expect(ours.subarray(5).toString()).toBe(
      `set user-class rolecall && set u ${script} && ifopen && chain \${u} || ifconf -c dhcp && chain \${u} || sleep 15 && reboot`,
    );
    expect(options({ options: speaker.rolecall })[175]).toEqual([0xb0, 1, 1]);
  });

  it('UEFI firmware hands autoexec.ipxe the URL of the script', () => {
    const url = (options: Said['options']) => text({ options: options ?? {} }, 210);
    expect(url(speaker.uefi)).toBe(script);
    expect(url({ ...speaker.uefi, 77: 'iPXE' })).toBe(script);
    expect([url(speaker.bios), url(speaker.http), url(speaker.rolecall)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(renderAutoexec()).toContain('{210:string}');
  });

  it('fits one option 175 and the smallest client, for the longest server address', () => {
    const longest = { httpServer: 'http://255.255.255.255:65535' };
    const uuid = { ...speaker.uefi, 97: new Uint8Array(17).fill(7, 1), 61: new Uint8Array(17) };
    const { packet, maxBytes } = replied({ options: uuid }, longest);
    expect(packet.options.get(175)?.length).toBeLessThanOrEqual(255);
    const bytes = packDhcpPacket(packet, maxBytes);
    expect(bytes.length).toBeLessThanOrEqual(548);
    expect(Buffer.from(bytes).includes('chain')).toBe(true);
  });

  it('echoes the client id and the machine id (RFC 6842, RFC 4578)', () => {
    const ids = { 61: Uint8Array.of(1, 2, 3), 97: new Uint8Array(17).fill(7, 1) };
    expect(options({ options: { ...speaker.bios, ...ids } })).toMatchObject({
      61: [...ids[61]],
      97: [...ids[97]],
    });
  });
});
