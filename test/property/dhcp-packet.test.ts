import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { identifyMachine } from '../../src/boot/identify-machine.ts';
import { type DhcpPacket, packDhcpPacket, parseDhcpPacket } from '../../src/pxe/dhcp-packet.ts';
import { decideDhcpReply } from '../../src/pxe/dhcp-reply.ts';
import { describeClient, identifyClient } from '../../src/pxe/identify-client.ts';
import { captureNames, readCapture } from '../captures/read-capture.ts';
import { seededRandom } from '../seeded-random.ts';
import { aDhcpSite, ip, mac, serverAddress } from '../unit/dhcp/a-dhcp-site.ts';
import { addressFacts } from '../unit/dhcp/address-facts.ts';
import { message, speaker } from '../unit/dhcp/messages.ts';

const site = aDhcpSite();

/** Everything that the server does with a datagram; how far it came. */
const addresses = addressFacts(1000, {
  leases: [
    { mac: mac('52:54:00:00:00:99'), address: ip('10.77.0.200'), expires: 2000, boundAt: 1 },
  ],
});

function answer(bytes: Uint8Array): 'unreadable' | 'no client' | 'ignored' | 'replied' {
  const parsed = parseDhcpPacket(bytes);
  if (parsed.kind === 'refusal') return 'unreadable';
  const identified = identifyClient(parsed.packet);
  if (identified.kind === 'refusal') return 'no client';
  const { client } = identified;
  describeClient(client);
  const decision = decideDhcpReply(client, {
    site,
    machine: identifyMachine(site, { mac: client.mac }),
    serverAddress,
    httpServer: 'http://10.77.0.1',
    ...addresses,
    isOurLoader: false,
    ports: { server: 67, client: 68 },
    now: 1000,
  });
  if (decision.kind === 'ignore') return 'ignored';
  const sent = packDhcpPacket(decision.packet, decision.maxBytes);
  expect(sent.length).toBeGreaterThanOrEqual(300);
  expect(sent.length).toBeLessThanOrEqual(decision.maxBytes);
  expect(parseDhcpPacket(sent).kind).toBe('packet');
  return 'replied';
}

const captures = captureNames().map(readCapture);

/** Valid messages: what real clients sent, and made ones with what those did not send. */
const valid: readonly Uint8Array[] = [
  ...captures,
  ...[
    message({ options: { ...speaker.bios, 77: '\x04iPXE\x08rolecall' } }),
    message({
      giaddr: '10.78.0.254',
      options: { 82: Uint8Array.of(1, 2, 0, 7, 5, 4, 10, 78, 0, 0) },
    }),
    message({ type: 'request', serverId: '10.77.0.1', requested: '10.77.0.21' }),
    message({ type: 'decline', serverId: '10.77.0.1', requested: '10.77.0.200' }),
    message({ type: 'inform', ciaddr: '10.77.0.21', options: { 175: new Uint8Array(600) } }),
    message({ options: { 52: Uint8Array.of(3), 57: Uint8Array.of(2, 64) } }),
  ].map((packet) => packDhcpPacket(packet, 1472)),
];

describe('a damaged message is a value or a refusal, never a throw', () => {
  it('cut off at every byte', () => {
    for (const bytes of valid) {
      for (let length = 0; length < bytes.length; length += 1) answer(bytes.subarray(0, length));
    }
  });

  it('an option cut off is refused', () => {
    const bytes = packDhcpPacket(message({ options: { 12: 'a-host-name' } }));
    const end = 240 + 3 + 2 + 'a-host-name'.length;
    for (let length = 240 + 3 + 1; length < end; length += 1) {
      expect(answer(bytes.subarray(0, length))).toBe('unreadable');
    }
    expect(answer(bytes.subarray(0, end))).toBe('replied');
  });

  it('in 100,000 mutations of valid messages', () => {
    const random = seededRandom(2131);
    const below = (n: number) => Math.floor(random() * n);
    const came = { unreadable: 0, 'no client': 0, ignored: 0, replied: 0 };
    for (let n = 0; n < 100_000; n += 1) {
      const original = valid[below(valid.length)] ?? new Uint8Array();
      const bytes = Buffer.from(
        original.subarray(0, random() < 0.1 ? below(original.length) : undefined),
      );
      for (let flips = 1 + below(8); flips > 0 && bytes.length > 0; flips -= 1) {
        // Most damage to the options: there is the structure.
        const at =
          random() < 0.7 && bytes.length > 240
            ? 240 + below(bytes.length - 240)
            : below(bytes.length);
        bytes[at] =
          random() < 0.3 ? ([0, 1, 52, 53, 82, 127, 175, 254, 255][below(9)] ?? 0) : below(256);
      }
      came[answer(bytes)] += 1;
    }
    // A run in which everything stopped at the first check would prove little.
    for (const count of Object.values(came)) expect(count).toBeGreaterThan(1000);
  }, 120_000);

  it('in random bytes behind a valid header', () => {
    const header = packDhcpPacket(message()).subarray(0, 243);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), (options) => {
        answer(Buffer.concat([header, options]));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('what is packed is read back', () => {
  const address = fc
    .tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
    .map((bytes) => ip(bytes.join('.')));
  const name = (maxLength: number) =>
    fc.string({
      unit: fc.integer({ min: 33, max: 126 }).map((c) => String.fromCharCode(c)),
      maxLength,
    });
  const options = fc
    .uniqueArray(
      fc.tuple(
        fc.integer({ min: 1, max: 254 }).filter((code) => code !== 52 && code !== 82),
        fc.uint8Array({ maxLength: 300 }),
      ),
      { selector: ([code]) => code, maxLength: 12 },
    )
    .map((entries) => new Map(entries.map(([code, value]) => [code, Uint8Array.from(value)])));
  const packet: fc.Arbitrary<DhcpPacket> = fc.record({
    op: fc.constantFrom('request' as const, 'reply' as const),
    htype: fc.nat(255),
    hlen: fc.nat(16),
    hops: fc.nat(255),
    xid: fc.nat(0xffffffff),
    secs: fc.nat(0xffff),
    broadcast: fc.boolean(),
    ciaddr: address,
    yiaddr: address,
    siaddr: address,
    giaddr: address,
    chaddr: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    // Empty as often as not: only then can the field hold options.
    sname: fc.oneof(fc.constant(''), name(63)),
    file: fc.oneof(fc.constant(''), name(127)),
    options,
  });

  it('whole, where there is room', () => {
    fc.assert(
      fc.property(packet, (value) => {
        const read = parseDhcpPacket(packDhcpPacket(value, 8192));
        if (read.kind !== 'packet') throw new Error(read.reason);
        expect({ ...read.packet, options: new Map(read.packet.options) }).toEqual(value);
      }),
    );
  });

  it('in part and never longer than allowed, where there is not', () => {
    fc.assert(
      fc.property(packet, fc.integer({ min: 300, max: 1472 }), (value, room) => {
        const bytes = packDhcpPacket(value, room);
        expect(bytes.length).toBeLessThanOrEqual(room);
        const read = parseDhcpPacket(bytes);
        if (read.kind === 'refusal') throw new Error(read.reason);
        for (const [code, kept] of read.packet.options)
          expect(kept).toEqual(value.options.get(code));
      }),
    );
  });
});
