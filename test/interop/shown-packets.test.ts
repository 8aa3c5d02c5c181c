import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { parseIpv4 } from '../../src/net/ipv4.ts';
import { startTftpServer, type TftpServer } from '../../src/pxe/tftp-server.ts';
import { describePacket, type WirePacket } from '../../src/pxe/wire-packet.ts';
import { openRawTftpClient, type RawTftpClient, readRequest } from './raw-tftp-client.ts';
import { openSeededFile, seededName } from './seeded-file.ts';

const address = parseIpv4('127.0.0.1');
const shown: WirePacket[] = [];
let server: TftpServer;
let client: RawTftpClient;

beforeAll(async () => {
  if (!address) throw new Error('no address');
  server = await startTftpServer({
    ...{ address, port: 0, open: async (name) => openSeededFile(name) },
    onPacket: (packet) => shown.push(packet),
  });
  client = await openRawTftpClient();
});
afterAll(async () => {
  client.close();
  await server.stop(0);
});

const lines = () => shown.map((packet) => `${packet.direction} ${describePacket(packet)}`);

it('a transfer shows its request, what was agreed and its end, and no data', async () => {
  shown.length = 0;
  await client.send(readRequest(seededName(1500), { blksize: '1000', tsize: '0' }), server.port);
  const { from } = await client.next();
  for (const block of [0, 1, 2]) {
    await client.send({ kind: 'ack', block }, from.port);
    if (block < 2) await client.next();
  }
  await vi.waitFor(() => expect(shown).toHaveLength(3));
  expect(lines()).toEqual([
    'in read request for files/seeded-1500 (blksize=1000 tsize=0)',
    'out options agreed (blksize=1000 tsize=1500)',
    'out files/seeded-1500 sent: 1500 bytes in 2 blocks of 1000',
  ]);
  // The answer's port is the one that the client saw.
  expect(shown.map(({ local }) => local.port)).toEqual([server.port, from.port, server.port]);
});

it('what is refused and what is given up are shown too', async () => {
  shown.length = 0;
  await client.send(readRequest('revocations.efi'), server.port);
  await client.next();
  const other = await openRawTftpClient();
  await other.send(readRequest(seededName(9000), { tsize: '0' }), server.port);
  const { from } = await other.next();
  await other.send({ kind: 'error', code: 8, message: 'only the size' }, from.port);
  await vi.waitFor(() => expect(shown).toHaveLength(6));
  other.close();
  expect(lines()).toEqual([
    'in read request for revocations.efi',
    'out error 1: file not found',
    'in read request for files/seeded-9000 (tsize=0)',
    'out options agreed (tsize=9000)',
    'in error 8: only the size',
    expect.stringMatching(/^out files\/seeded-9000 given up by the client before its first block/),
  ]);
});
