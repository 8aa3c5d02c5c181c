import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseIpv4 } from '../../src/net/ipv4.ts';
import { startTftpServer, type TftpEvent, type TftpServer } from '../../src/pxe/tftp-server.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { openSeededFile, seededBytes, seededName } from './seeded-file.ts';
import { lossProofClients, tftpClients } from './tftp-clients.ts';
import { startUdpRelay } from './udp-relay.ts';

let folder: string;
let server: TftpServer;
const events: TftpEvent[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tftp-relay-'));
  const address = parseIpv4('127.0.0.1');
  if (!address) throw new Error('no address');
  server = await startTftpServer({
    address,
    port: 0,
    open: async (name) => openSeededFile(name),
    onEvent: (event) => events.push(event),
    limits: { transfersPerClient: 100 },
  });
});

afterAll(async () => {
  await server?.stop(0);
  await rm(folder, { recursive: true, force: true });
});

const none = { loss: 0, duplicates: 0, reordering: 0 };

it.each([
  ['some datagrams twice', { ...none, duplicates: 0.1 }],
  ['every datagram twice', { ...none, duplicates: 1 }],
  ['some datagrams overtaken', { ...none, reordering: 0.1 }],
  ['lost, twice and overtaken', { loss: 0.02, duplicates: 0.05, reordering: 0.05 }],
])('clients get every byte: %s', async (_name, faults) => {
  const size = 65_536;
  const expected = seededBytes(size);
  const relays = await Promise.all(
    lossProofClients.map((_, seed) => startUdpRelay(server.port, faults, seed)),
  );
  const before = events.length;
  const wrong = await Promise.all(
    lossProofClients.map(async (client, index) => {
      const local = join(folder, `${index}`);
      const port = relays[index]?.port ?? 0;
      const order = { host: '127.0.0.1', port, remote: seededName(size), local };
      const [program = '', ...args] = tftpClients[client]?.(order) ?? [];
      await rm(local, { force: true });
      try {
        await runProgram(program, args, { timeout: 25_000 });
        return (await readFile(local)).equals(expected) ? [] : [`${client}: other bytes`];
      } catch (error) {
        return [`${client}: ${error}`];
      }
    }),
  );
  for (const relay of relays) relay.stop();
  expect(wrong.flat()).toEqual([]);
  const names = new Set(events.slice(before).map((event) => event.kind));
  expect(names).toContain('loader-sent');
});
