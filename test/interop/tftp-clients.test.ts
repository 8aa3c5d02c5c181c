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
const servers: ChildProcess[] = [];
const events: TftpEvent[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tftp-clients-'));
  network = await createLossyNetwork(`tftp-${process.pid}`);
  await startServer(network.server.address, []);
});

/** Starts a server in its namespace; resolves when it listens. */
async function startServer(address: string, options: readonly string[]): Promise<void> {
  const script = fileURLToPath(new URL('./tftp-server-process.ts', import.meta.url));
  const inside = ['netns', 'exec', network.server.name, process.execPath, script];
  const server = spawn('ip', [...inside, address, '69', ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  servers.push(server);
  const listening = Promise.withResolvers<void>();
  createInterface(server.stdout).on('line', (line) => {
    const event = JSON.parse(line) as TftpEvent | { kind: 'listening' };
    if (event.kind === 'listening') listening.resolve();
    else events.push(event);
  });
  await listening.promise;
}

afterAll(async () => {
  for (const server of servers) {
    server.kill('SIGTERM');
    if (server.exitCode === null) await once(server, 'exit');
  }
  await network?.remove();
  await rm(folder, { recursive: true, force: true });
});

/** Runs a client in its namespace: how it ended and what it said. */
async function download(client: string, remote: string, local: string, host: string) {
  const order: Download = { host, port: 69, remote, local };
  const command = tftpClients[client]?.(order) ?? [];
  await rm(local, { force: true });
  const accept = Array.from({ length: 255 }, (_, i) => i + 1);
  const inside = ['netns', 'exec', network.client.name, ...command];
  return runProgram('ip', inside, { accept, timeout: 60_000 });
}

/** What went wrong; empty where the whole file came within `attempts`. A client that says "done" has every byte. */
async function fetchProblem(
  client: string,
  size: number,
  attempts: number,
  host: string,
): Promise<string> {
  const local = join(folder, `${client.replaceAll(/\W/g, '-')}-${size}`);
  const expected = seededBytes(size);
  let problem = '';
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const { exitCode, stdout, stderr } = await download(client, seededName(size), local, host);
    const bytes = await readFile(local).catch(() => undefined);
    if (bytes?.equals(expected)) return '';
    problem = `${client} ended with ${exitCode} and ${bytes?.length} bytes: ${stdout} ${stderr}`;
    // tftp-hpa ends with 0 whatever happened.
    if (exitCode === 0 && client !== 'tftp-hpa') return problem;
  }
  return problem;
}

/** What went wrong with any of the clients, all at work at once. */
async function problems(
  names: readonly string[],
  size: number,
  attempts: number,
  host = network.server.address,
) {
  const all = await Promise.all(names.map((name) => fetchProblem(name, size, attempts, host)));
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

  it('more blocks than can be numbered, 512 bytes each', async () => {
    await network.lose(0);
    expect(await problems(['curl without options', 'tftp-hpa'], 512 * 65_600 + 7, 1)).toEqual([]);
  }, 120_000);

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

  // A second OACK ends atftp's transfer: its own repetition of the answer has to come first.
  it('over a link that loses the first answer to the options', async () => {
    await network.loseFirstAnswers();
    const asking = lossProofClients.filter((client) => client !== 'curl without options');
    expect(await problems(asking, 65_536, 1)).toEqual([]);
  });

  it('says at once that a file is not there', async () => {
    await network.lose(0);
    for (const client of clients) {
      const local = join(folder, 'missing');
      const name = `autoexec-${clients.indexOf(client)}.ipxe`;
      await download(client, name, local, network.server.address);
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

describe('behind a firewall that lets only port 69 through', () => {
  const [singlePort, manyPorts] = ['192.0.2.3', '192.0.2.4'];

  beforeAll(async () => {
    await network.lose(0);
    const { name } = network.server;
    for (const address of [singlePort, manyPorts]) {
      await runProgram('ip', ['-n', name, 'address', 'add', `${address}/24`, 'dev', 'eth0']);
    }
    const rules = `
      table ip firewall {
        set guarded { type ipv4_addr; elements = { ${singlePort}, ${manyPorts} }; }
        chain in { type filter hook input priority 10; ip daddr @guarded udp dport != 69 drop; }
        chain out { type filter hook output priority 10; ip saddr @guarded udp sport != 69 drop; }
      }`;
    await runProgram('ip', ['netns', 'exec', name, 'nft', '-f', '-'], { input: rules });
    await startServer(singlePort, ['single-port']);
    await startServer(manyPorts, []);
  });

  it('a server with a single port serves all clients at once', async () => {
    expect(await problems(clients, 262_145, 1, singlePort)).toEqual([]);
  });

  it('and also where datagrams are lost', async () => {
    await network.lose(2);
    expect(await problems(lossProofClients, 16_384, 3, singlePort)).toEqual([]);
    await network.lose(0);
  });

  it('a server with a port for each transfer does not', async () => {
    const [problem] = await problems(['curl'], 1000, 1, manyPorts);
    expect(problem).toContain('curl ended with 28 and');
  });
});
