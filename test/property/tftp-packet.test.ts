import fc from 'fast-check';
import { expect, it } from 'vitest';
import { encodeTftpPacket, parseTftpPacket, type TftpPacket } from '../../src/pxe/tftp-packet.ts';
import { seededRandom } from '../seeded-random.ts';

/** Latin-1 without the zero byte, which ends a string. */
const text = fc
  .array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 40 })
  .map((codes) => String.fromCharCode(...codes));
const lowerText = text.map((value) => value.toLowerCase());
const options = fc
  .array(fc.tuple(lowerText, fc.oneof(text, fc.nat().map(String))), { maxLength: 6 })
  .map((pairs) => new Map(pairs));
const word = fc.integer({ min: 0, max: 65_535 });

const packets: fc.Arbitrary<TftpPacket> = fc.oneof(
  fc.record({ kind: fc.constantFrom('rrq', 'wrq'), file: text, mode: lowerText, options }),
  fc.record({ kind: fc.constant('data'), block: word, data: fc.uint8Array({ maxLength: 600 }) }),
  fc.record({ kind: fc.constant('ack'), block: word }),
  fc.record({ kind: fc.constant('error'), code: word, message: text }),
  fc.record({ kind: fc.constant('oack'), options: options.filter((map) => map.size > 0) }),
);

const plain = (packet: TftpPacket) =>
  packet.kind === 'data' ? { ...packet, data: [...packet.data] } : packet;

it('reads back what it wrote', () => {
  fc.assert(
    fc.property(packets, (packet) => {
      const parsed = parseTftpPacket(encodeTftpPacket(packet));
      expect(parsed.ok && plain(parsed.packet)).toEqual(plain(packet));
    }),
    { numRuns: 2000 },
  );
});

it('refuses or reads a packet cut at any byte, and never takes half a request for a whole', () => {
  fc.assert(
    fc.property(packets, (packet) => {
      const bytes = encodeTftpPacket(packet);
      for (let length = 0; length < bytes.length; length++) {
        const parsed = parseTftpPacket(bytes.subarray(0, length));
        if (length < 4) expect(parsed.ok).toBe(false);
        if (parsed.ok) expect(parsed.packet.kind).toBe(packet.kind);
        if (parsed.ok && (packet.kind === 'rrq' || packet.kind === 'wrq')) {
          expect(parsed.packet).toMatchObject({ file: packet.file, mode: packet.mode });
        }
      }
    }),
    { numRuns: 500 },
  );
});

it('answers 100,000 mutations with a packet or a reason', () => {
  const random = seededRandom(1350);
  const below = (limit: number) => Math.floor(random() * limit);
  const originals = fc.sample(packets, { seed: 1350, numRuns: 500 }).map(encodeTftpPacket);
  let [read, refused] = [0, 0];
  for (let run = 0; run < 100_000; run++) {
    const original = originals[below(originals.length)] ?? Buffer.alloc(0);
    let bytes = Buffer.from(original);
    for (let change = below(4); change >= 0; change--) {
      const at = below(bytes.length + 1);
      const kind = below(4);
      if (kind === 0) bytes = bytes.subarray(0, at);
      else if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
      else if (kind === 2)
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.of(below(256)), bytes.subarray(at)]);
      else if (at < bytes.length) bytes[at] = below(256);
    }
    const parsed = parseTftpPacket(bytes);
    if (parsed.ok) read++;
    else {
      refused++;
      if (parsed.reason === '') throw new Error(`no reason: ${bytes.toString('hex')}`);
    }
  }
  // Both ways were taken often enough to mean something.
  expect(read).toBeGreaterThan(10_000);
  expect(refused).toBeGreaterThan(10_000);
});
