import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TftpEvent } from '../../src/pxe/tftp-server.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { createLossyNetwork, type LossyNetwork } from './lossy-network.ts';
import { seededBytes, seededName } from './seeded-file.ts';
import { type Download, lossProofClients, tftpClients } from './tftp-clients.ts';

let network: LossyNetwork;
let folder: string;
let server: ChildProcess;
const events: TftpEvent[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tftp-clients-'));
  network = await createLossyNetwork(`tftp-${process.pid}`);
  const script = fileURLToPath(new URL('./tftp-server-process.ts', import.meta.url));
  const inside = ['netns', 'exec', network.server.name, process.execPath, script];
  server = spawn('ip', [...inside, network.server.address, '69'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const listening = Promise.withResolvers<void>();
  if (!server.stdout) throw new Error('no output');
  createInterface(server.stdout).on('line', (line) => {
    const event = JSON.parse(line) as TftpEvent | { kind: 'listening' };
    if (event.kind === 'listening') listening.resolve();
    else events.push(event);
  });
  await listening.promise;
});

afterAll(async () => {
  server?.kill('SIGTERM');
  if (server?.exitCode === null) await once(server, 'exit');
  await network?.remove();
  await rm(folder, { recursive: true, force: true });
});

/** Runs a client in its namespace: how it ended and what it said. */
async function download(client: string, remote: string, local: string) {
  const order: Download = { host: network.server.address, port: 69, remote, local };
  const command = tftpClients[client]?.(order) ?? [];
  await rm(local, { force: true });
  const accept = Array.from({ length: 255 }, (_, i) => i + 1);
  const inside = ['netns', 'exec', network.client.name, ...command];
  return runProgram('ip', inside, { accept, timeout: 60_000 });
}

/** What went wrong; empty where the whole file came within `attempts`. A client that says "done" has every byte. */
async function fetchProblem(client: string, size: number, attempts: number): Promise<string> {
  const local = join(folder, `${client.replaceAll(/\W/g, '-')}-${size}`);
  const expected = seededBytes(size);
  let problem = '';
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const { exitCode, stdout, stderr } = await download(client, seededName(size), local);
    const bytes = await readFile(local).catch(() => undefined);
    if (bytes?.equals(expected)) return '';
    problem = `${client} ended with ${exitCode} and ${bytes?.length} bytes: ${stdout} ${stderr}`;
    // tftp-hpa ends with 0 whatever happened.
    if (exitCode === 0 && client !== 'tftp-hpa') return problem;
  }
  return problem;
}

/** What went wrong with any of the clients, all at work at once. */
async function problems(names: readonly string[], size: number, attempts: number) {
  const all = await Promise.all(names.map((name) => fetchProblem(name, size, attempts)));
  return all.filter((problem) => problem !== '');
}

const clients = Object.keys(tftpClients);

describe('downloads by other programs', () => {
  it.each([
    ['one byte', 1],
    ['one byte less than a block', 511],
    ['one block', 512],
    ['whole blocks of every size asked for', 512 * 1468],
    ['a loader', 1_048_577],
  ])('%s', async (_name, size) => {
    await network.lose(0);
    expect(await problems(clients, size, 1)).toEqual([]);
  });

  it('nothing', async () => {
    await network.lose(0);
    // A tsize of 0 is "invalid" to curl.
    const others = clients.filter((client) => client !== 'curl');
    expect(await problems(others, 0, 1)).toEqual([]);
  });

  // Where every fifth datagram is lost, a client may give up before the server does, and is asked again.
  it.each([
    [1, 262_144, 1],
    [5, 65_536, 2],
    [20, 12_000, 4],
  ])(
    'over a link that loses %i in a hundred datagrams',
    async (percent, size, attempts) => {
      await network.lose(percent);
      const before = events.length;
      expect(await problems(lossProofClients, size, attempts)).toEqual([]);
      const sent = events.slice(before).filter((event) => event.kind === 'loader-sent');
      expect(sent.reduce((sum, event) => sum + event.retransmissions, 0)).toBeGreaterThan(0);
    },
    120_000,
  );

  it('says at once that a file is not there', async () => {
    await network.lose(0);
    for (const client of clients) {
      const local = join(folder, 'missing');
      await download(client, `autoexec-${clients.indexOf(client)}.ipxe`, local);
      const size = (await readFile(local).catch(() => Buffer.alloc(0))).length;
      expect(size, client).toBe(0);
      const refused = events.filter((event) => event.kind === 'refused').map((event) => event.name);
      expect(refused, client).toContain(`autoexec-${clients.indexOf(client)}.ipxe`);
    }
  });

  it('says why tftp-hpa’s default mode is not served', async () => {
    const inside = ['netns', 'exec', network.client.name, 'tftp', network.server.address];
    const local = join(folder, 'netascii');
    const { stdout } = await runProgram('ip', [...inside, '-c', 'get', seededName(5), local]);
    expect(stdout).toContain('netascii is not served');
  });

  it('takes no file from a client', async () => {
    const inside = ['netns', 'exec', network.client.name, 'curl', '--silent', '--upload-file'];
    const target = `tftp://${network.server.address}/${seededName(5)}`;
    const script = fileURLToPath(import.meta.url);
    const result = await runProgram('ip', [...inside, script, target], { accept: [69] });
    // curl's "permission problem on TFTP server".
    expect(result.exitCode).toBe(69);
  });
});
