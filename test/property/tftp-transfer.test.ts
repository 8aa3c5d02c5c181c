import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type SimulatedLink, type SimulationResult, simulateTransfer } from './tftp-simulation.ts';

const perfect: SimulatedLink = { loss: 0, duplicates: 0, reordering: 0, lateness: 0 };

/** Every byte of the file, once and in order. */
function isWhole(received: SimulationResult['received'], size: number): boolean {
  let offset = 0;
  for (const block of received ?? []) {
    if (block.offset !== offset) return false;
    offset += block.length;
  }
  return received !== undefined && offset === size;
}

function checkEnd(result: SimulationResult, size: number, windowSize: number): void {
  const { server, received } = result;
  if (received) expect(isWhole(received, size)).toBe(true);
  if (server.phase === 'delivered' && server.acknowledged) expect(received).toBeDefined();
  if (server.phase === 'delivered')
    expect(server.acked).toBeGreaterThanOrEqual(server.lastBlock - 1);
  // A request that never came through starts no transfer; a transfer that began always ends.
  if (server.sent >= 0) expect(['delivered', 'failed']).toContain(server.phase);
  if (server.phase === 'failed') expect(server.reason).not.toBe('');
  expect(result.longestBurst).toBeLessThanOrEqual(windowSize);
  // A gap is answered twice: the window moves on, and what follows the gap is sent again.
  const bursts = 1 + result.progress + result.timeouts + clientRequests;
  expect(result.sent).toBeLessThanOrEqual(bursts * windowSize);
  expect(result.timeouts).toBeLessThanOrEqual(10 * (result.progress + 1));
}

/** A client repeats its request so often at most, and each copy may come twice. */
const clientRequests = 44;

const rate = (most: number) => fc.double({ min: 0, max: most, noNaN: true });
const links: fc.Arbitrary<SimulatedLink> = fc.record({
  loss: fc.oneof(fc.constant(0), rate(0.3)),
  duplicates: fc.oneof(fc.constant(0), rate(0.5)),
  reordering: fc.oneof(fc.constant(0), rate(0.5)),
  lateness: fc.oneof(fc.constant(0), rate(0.1)),
});

describe.each([1, 4, 16])('windows of %i over a bad link', (windowSize) => {
  it('deliver every byte or report a failure, with bounded sends', () => {
    let delivered = 0;
    const runs = 150;
    fc.assert(
      fc.property(
        links,
        fc.nat(20_000),
        fc.constantFrom(8, 64, 512, 1468),
        fc.boolean(),
        fc.nat(),
        (link, bytes, blockSize, eager, seed) => {
          const size = Math.min(bytes, blockSize * 300);
          const result = simulateTransfer({ size, blockSize, windowSize, eager, link, seed });
          checkEnd(result, size, windowSize);
          if (isWhole(result.received, size)) delivered++;
        },
      ),
      { numRuns: runs, seed: 7440 + windowSize },
    );
    // A server that always reported failure would pass what is above.
    expect(delivered).toBeGreaterThan(runs * 0.95);
  });

  it.each([
    ['1 % loss', { ...perfect, loss: 0.01 }],
    ['20 % loss', { ...perfect, loss: 0.2 }],
    ['every datagram twice', { ...perfect, duplicates: 1 }],
    ['every second datagram overtaken', { ...perfect, reordering: 0.5 }],
    ['every tenth datagram seconds late', { ...perfect, lateness: 0.1 }],
    ['all of it', { loss: 0.1, duplicates: 0.1, reordering: 0.1, lateness: 0.02 }],
  ])('deliver 100 KB: %s', (_name, link) => {
    for (let seed = 0; seed < 10; seed++) {
      const transfer = { size: 100_000, blockSize: 1024, windowSize, eager: seed % 2 === 0 };
      const result = simulateTransfer({ ...transfer, link, seed });
      checkEnd(result, transfer.size, windowSize);
      expect(isWhole(result.received, transfer.size)).toBe(true);
      expect(result.server.phase).toBe('delivered');
    }
  });

  it('send every block once over a link that loses nothing', () => {
    const link = perfect;
    const size = 64 * 700;
    const result = simulateTransfer({
      size,
      blockSize: 64,
      windowSize,
      eager: true,
      link,
      seed: 1,
    });
    expect(result.server).toMatchObject({ phase: 'delivered', retransmissions: 0 });
    expect(result.sent).toBe(1 + 701);
    expect(isWhole(result.received, size)).toBe(true);
  });

  // The Sorcerer's Apprentice, in windows too: a copy that is answered with copies would never end.
  it.each([0.02, 1])('send every block once when %d of the datagrams come twice', (duplicates) => {
    const base = { size: 100_000, blockSize: 512, windowSize, link: { ...perfect, duplicates } };
    for (const eager of [true, false]) {
      const result = simulateTransfer({ ...base, eager, seed: 1123 });
      expect(result.sent).toBe(1 + 196);
      expect(isWhole(result.received, base.size)).toBe(true);
    }
  });

  it('reach past block 65535', () => {
    const size = 8 * 66_000 + 3;
    const link = { ...perfect, loss: 0.001, duplicates: 0.001 };
    const result = simulateTransfer({
      size,
      blockSize: 8,
      windowSize,
      eager: false,
      link,
      seed: 5,
    });
    expect(isWhole(result.received, size)).toBe(true);
    expect(result.server.phase).toBe('delivered');
  });
});

it('gives up when the link is cut', () => {
  const link = { ...perfect, loss: 1 };
  const base = { size: 5000, blockSize: 512, windowSize: 4, eager: false, seed: 3 };
  const result = simulateTransfer({ ...base, link });
  expect(result.received).toBeUndefined();
  expect(result.server.phase).not.toBe('delivered');
});
