import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { Ipv4 } from '../../../src/net/ipv4.ts';
import { mayAsk, type Pace } from '../../../src/rehearsal/pace.ts';
import type { Target } from '../../../src/rehearsal/plan-rehearsal.ts';
import { startWatch } from '../../../src/rehearsal/watch.ts';

const pace: Pace = { period: 20, patience: 4_000, patienceToConnect: 1_000 };

/** A server that greets after `slowness` milliseconds, and a client that watches it. */
async function watched(slowness: number) {
  const at = { open: 0, most: 0, all: 0 };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    at.all += 1;
    at.most = Math.max(at.most, ++at.open);
    sockets.add(socket);
    const timer = setTimeout(() => socket.write('220 hello\r\n'), slowness);
    socket
      .on('error', () => {})
      .on('close', () => {
        at.open -= 1;
        clearTimeout(timer);
      });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const folder = mkdtempSync(join(tmpdir(), 'rc-watch-'));
  const target: Target = {
    ...{ service: 'mail', network: 'boot', address: '127.0.0.1' as Ipv4, ask: 'greeting' },
    port: (server.address() as AddressInfo).port,
  };
  const host = { inside: (program: string, args: readonly string[]) => [program, args] as const };
  const watch = await startWatch(host as never, [target], pace, join(folder, 'answers'));
  onTestFinished(async () => {
    await watch.stop();
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  });
  const samples = async () => (await watch.samples()).get(target) ?? [];
  return { at, samples };
}

it('a slow server is asked no faster than it answers, and is not called dead', async () => {
  const { at, samples } = await watched(300);
  await expect.poll(() => at.all, { timeout: 20_000 }).toBeGreaterThan(2);
  expect(at.most).toBe(1);
  const answered = await samples();
  expect(answered.length).toBeGreaterThan(1);
  expect(answered.filter(({ problem }) => problem !== '')).toEqual([]);
  expect(answered[0]?.took).toBeGreaterThanOrEqual(290);
}, 30_000);

it('a quick one is asked as often as the pace says', async () => {
  const { samples } = await watched(0);
  await expect.poll(async () => (await samples()).length, { timeout: 20_000 }).toBeGreaterThan(20);
  const at = (await samples()).map((sample) => sample.at);
  const gaps = at.slice(1).map((time, i) => time - (at[i] ?? time));
  expect(gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length / 2)]).toBeLessThan(200);
}, 30_000);

it('one that took a question and died is asked again, and one that nobody plays at once', () => {
  expect(mayAsk([], 0, pace, 100)).toBe(true);
  expect(mayAsk([{ at: 0, isTaken: false }], 0, pace, 20)).toBe(true);
  expect(mayAsk([{ at: 0, isTaken: true }], 0, pace, 20)).toBe(false);
  expect(mayAsk([{ at: 0, isTaken: true }], 0, pace, 2_000)).toBe(true);
  expect(mayAsk([], 101, pace, 100)).toBe(false);
});
