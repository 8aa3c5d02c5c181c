import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { encodeTftpPacket } from '../../src/pxe/tftp-packet.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { seededRandom } from '../seeded-random.ts';
import { openRawTftpClient, readRequest } from './raw-tftp-client.ts';
import { seededBytes, seededName } from './seeded-file.ts';

let folder: string;
let server: ChildProcess;
let port = 0;
let refused = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tftp-flood-'));
  const script = fileURLToPath(new URL('./tftp-server-process.ts', import.meta.url));
  server = spawn(process.execPath, [script, '127.0.0.1', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (!server.stdout) throw new Error('no output');
  const listening = Promise.withResolvers<number>();
  createInterface(server.stdout).on('line', (line) => {
    const event = JSON.parse(line) as { kind: string; port: number };
    if (event.kind === 'listening') listening.resolve(event.port);
    if (event.kind === 'refused') refused++;
  });
  port = await listening.promise;
});

afterAll(async () => {
  server?.kill('SIGTERM');
  if (server?.exitCode === null) await once(server, 'exit');
  await rm(folder, { recursive: true, force: true });
});

/** Resident memory of the server in MiB. */
async function memory(): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/** Datagrams that found the queue of the listening socket full: the last column of proc_net(5)'s table. */
async function dropped(): Promise<number> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const lines = (await readFile('/proc/net/udp', 'utf8')).split('\n');
  const row = lines.find((line) => line.includes(`:${hex} 00000000:0000`));
  return Number(row?.trim().split(/\s+/).at(-1));
}

/** Open sockets and files of the server. */
async function descriptors(): Promise<number> {
  return (await readdir(`/proc/${server.pid}/fd`)).length;
}

it('serves on after 10,000 datagrams of noise, half requests, requests and cut-off transfers', async () => {
  const random = seededRandom(10_000);
  const below = (limit: number) => Math.floor(random() * limit);
  const noise = () => Buffer.from(Array.from({ length: below(600) }, () => below(256)));
  const request = () =>
    encodeTftpPacket(
      readRequest(
        below(2) === 0 ? seededName(5000) : noise().toString('latin1', 0, 20).replaceAll('\0', '/'),
        { blksize: `${below(70_000)}`, windowsize: `${below(70_000)}`, timeout: `${below(300)}` },
      ),
    );
  const makes: readonly (() => Buffer)[] = [
    noise,
    request,
    () => request().subarray(0, below(60)),
    () => {
      const bytes = request();
      bytes[below(bytes.length)] = below(256);
      return bytes;
    },
    () => encodeTftpPacket({ kind: 'ack', block: below(65_536) }),
  ];
  const senders = await Promise.all(
    Array.from({ length: 40 }, (_, i) => openRawTftpClient(`127.0.1.${1 + (i % 20)}`)),
  );
  const before = await memory();
  for (let sent = 0; sent < 10_000; sent++) {
    const make = makes[below(makes.length)] ?? noise;
    await senders[below(senders.length)]?.send(make(), port);
    if (sent % 50 === 0) await delay(5);
  }

  const file = join(folder, 'file');
  const url = `tftp://127.0.0.1:${port}/${seededName(20_000)}`;
  await runProgram('curl', ['--silent', '--output', file, url], { timeout: 10_000 });
  expect((await readFile(file)).equals(seededBytes(20_000))).toBe(true);
  // The kernel's queue did not spare the server most of it.
  expect(await dropped()).toBeLessThan(2000);

  // 40 ports with a transfer each, whatever was asked from them, and some for the process itself.
  expect(await descriptors()).toBeLessThan(40 + 40);
  expect((await memory()) - before).toBeLessThan(150);
  // The log is not flooded either: 100 refusals a second.
  expect(refused).toBeGreaterThan(0);
  expect(refused).toBeLessThan(2000);
  for (const one of senders) one.close();
}, 20_000);
