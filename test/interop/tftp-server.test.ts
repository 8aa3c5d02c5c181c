import { afterEach, describe, expect, it } from 'vitest';
import { AppError } from '../../src/errors.ts';
import { parseIpv4 } from '../../src/net/ipv4.ts';
import type { TftpContent } from '../../src/pxe/tftp-sender.ts';
import {
  startTftpServer,
  type TftpEvent,
  type TftpServer,
  type TftpServerLimits,
} from '../../src/pxe/tftp-server.ts';
import { openRawTftpClient, type RawTftpClient, readRequest } from './raw-tftp-client.ts';
import { openSeededFile, seededBytes, seededName } from './seeded-file.ts';

const running: { stop(): unknown }[] = [];

afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
});

interface Serving {
  readonly server: TftpServer;
  readonly events: TftpEvent[];
  /** Every name that was opened. */
  readonly opened: string[];
}

async function serve(
  options: {
    open?: (name: string) => Promise<TftpContent | undefined>;
    limits?: Partial<TftpServerLimits>;
    address?: string;
  } = {},
): Promise<Serving> {
  const events: TftpEvent[] = [];
  const opened: string[] = [];
  const address = parseIpv4(options.address ?? '127.0.0.1');
  if (!address) throw new Error('no address');
  const server = await startTftpServer({
    address,
    port: 0,
    open: async (name) => {
      opened.push(name);
      return options.open ? options.open(name) : openSeededFile(name);
    },
    onEvent: (event) => events.push(event),
    ...(options.limits ? { limits: options.limits } : {}),
  });
  running.push({ stop: () => server.stop(0) });
  return { server, events, opened };
}

async function client(address?: string): Promise<RawTftpClient> {
  const raw = await openRawTftpClient(address);
  running.push({ stop: () => raw.close() });
  return raw;
}

const ack = (block: number) => ({ kind: 'ack', block }) as const;

/** Takes the whole file block by block. */
async function take(raw: RawTftpClient, name: string, port: number, address?: string) {
  await raw.send(readRequest(name), port, address);
  const parts: Uint8Array[] = [];
  for (;;) {
    const { packet, from } = await raw.next();
    if (packet.kind !== 'data') throw new Error(`a ${packet.kind} came`);
    if (packet.block !== (parts.length + 1) % 65_536) continue;
    parts.push(packet.data);
    await raw.send(ack(packet.block), from.port, from.address);
    if (packet.data.length < 512) return { bytes: Buffer.concat(parts), from };
  }
}

describe('one transfer', () => {
  it('comes from a port of its own, and is told of when it is complete', async () => {
    const { server, events } = await serve();
    const { bytes, from } = await take(await client(), `/${seededName(5000)}`, server.port);
    expect(bytes.equals(seededBytes(5000))).toBe(true);
    expect(from.port).not.toBe(server.port);
    await expect.poll(() => events).toHaveLength(1);
    expect(events[0]).toEqual({
      kind: 'loader-sent',
      name: seededName(5000),
      remote: '127.0.0.1',
      bytes: 5000,
      seconds: expect.any(Number),
      retransmissions: expect.any(Number),
      acknowledged: true,
    });
  });

  it('comes from the address that was asked', async () => {
    const { server } = await serve({ address: '127.0.0.7' });
    const { from } = await take(await client(), seededName(10), server.port, '127.0.0.7');
    expect(from.address).toBe('127.0.0.7');
  });

  it('is not doubled by a request that is repeated', async () => {
    const { server, opened } = await serve();
    const raw = await client();
    const request = readRequest(seededName(2000), { tsize: '0' });
    await raw.send(request, server.port);
    const first = await raw.next();
    const again: number[] = [];
    for (let copy = 0; copy < 3; copy++) {
      await raw.during(150);
      await raw.send(request, server.port);
      again.push((await raw.next()).from.port);
    }
    expect(first.packet).toEqual({ kind: 'oack', options: new Map([['tsize', '2000']]) });
    expect(again).toEqual([first.from.port, first.from.port, first.from.port]);
    expect(opened).toHaveLength(1);
  });

  it('gives way to the next file that is asked from the same port', async () => {
    const { server, opened } = await serve();
    const raw = await client();
    await raw.send(readRequest(seededName(2000), { tsize: '0' }), server.port);
    const probe = await raw.next();
    await raw.send({ kind: 'error', code: 8, message: 'size known' }, probe.from.port);
    const { bytes } = await take(raw, seededName(2000), server.port);
    expect(bytes.equals(seededBytes(2000))).toBe(true);
    expect(opened).toHaveLength(2);
  });

  it('is not disturbed by packets of others', async () => {
    const { server } = await serve();
    const [raw, stranger] = [await client(), await client()];
    await raw.send(readRequest(seededName(1000)), server.port);
    const first = await raw.next();
    await stranger.send({ kind: 'error', code: 0, message: 'stop' }, first.from.port);
    await stranger.send(ack(1), first.from.port);
    expect(await raw.during(100)).toEqual([]);
    await raw.send(ack(1), first.from.port);
    expect((await raw.next()).packet).toMatchObject({ kind: 'data', block: 2 });
  });

  it('that a client cancels is no event', async () => {
    let closed = 0;
    const { server, events } = await serve({
      open: async () => ({ size: 9, read: async () => Buffer.alloc(9), close: () => closed++ }),
    });
    const raw = await client();
    await raw.send(readRequest('a', { tsize: '0' }), server.port);
    const { from } = await raw.next();
    await raw.send({ kind: 'error', code: 8, message: 'thank you' }, from.port);
    await expect.poll(() => closed).toBe(1);
    expect(await raw.during(50)).toEqual([]);
    expect(events).toEqual([]);
  });

  it('that a client breaks off is an event that says how far it came', async () => {
    const { server, events } = await serve();
    const raw = await client();
    await raw.send(readRequest(seededName(5000)), server.port);
    const { from } = await raw.next();
    await raw.send(ack(1), from.port);
    await raw.next();
    await raw.send({ kind: 'error', code: 3, message: 'full\x1b[2J' }, from.port);
    await expect.poll(() => events).toHaveLength(1);
    expect(events[0]).toMatchObject({
      kind: 'broken-off',
      bytes: 512,
      reason: 'the client says error 3: full?[2J',
    });
  });

  it('ends at once when the client’s port is closed', async () => {
    const { server, events } = await serve();
    const raw = await openRawTftpClient();
    await raw.send(readRequest(seededName(5000)), server.port);
    const { from } = await raw.next();
    await raw.send(ack(1), from.port);
    raw.close();
    await expect.poll(() => events, { timeout: 5000 }).toHaveLength(1);
    expect(events[0]).toMatchObject({ kind: 'broken-off', reason: "the client's port is closed" });
  });

  it('is not sent twice where reading is slower than the client', async () => {
    const bytes = seededBytes(400_000);
    const slow: TftpContent = {
      size: bytes.length,
      read: async (offset, length) => {
        await new Promise((resolve) => setTimeout(resolve, 120));
        return bytes.subarray(offset, offset + length);
      },
    };
    const { server, events } = await serve({ open: async () => slow });
    const raw = await client();
    expect((await take(raw, 'slow', server.port)).bytes.equals(bytes)).toBe(true);
    await expect.poll(() => events).toMatchObject([{ kind: 'loader-sent' }]);
    // Seven reads; the machine itself may stall once or twice.
    const [sent] = events;
    expect(sent?.kind === 'loader-sent' && sent.retransmissions).toBeLessThan(5);
  });
});

describe('what is refused', () => {
  const error = (code: number, message = expect.any(String)) => ({ kind: 'error', code, message });

  it.each([
    ['an unknown name', readRequest('revocations.efi'), error(1, 'file not found')],
    ['a path out of the folder', readRequest('../../etc/passwd'), error(1)],
    ['a write', { ...readRequest('a'), kind: 'wrq' } as const, error(2)],
    ['netascii', { ...readRequest('a'), mode: 'netascii' } as const, error(0)],
    ['mail', { ...readRequest('a'), mode: 'mail' } as const, error(4)],
    ['half a request', Buffer.from('\0\x01abc'), error(4)],
  ])('%s', async (_name, request, answer) => {
    const { server, events } = await serve();
    const raw = await client();
    await raw.send(request, server.port);
    expect((await raw.next()).packet).toEqual(answer);
    expect(events).toMatchObject([{ kind: 'refused', remote: '127.0.0.1' }]);
  });

  it.each([
    ['an acknowledgement', Buffer.from([0, 4, 0, 1])],
    ['data', Buffer.from([0, 3, 0, 1, 9])],
    ['an error', Buffer.from([0, 5, 0, 0, 0])],
    ['nothing', Buffer.alloc(0)],
    ['noise', Buffer.from('hello')],
  ])('%s on the listening port gets no answer', async (_name, bytes) => {
    const { server, events } = await serve();
    const raw = await client();
    await raw.send(bytes, server.port);
    expect(await raw.during(50)).toEqual([]);
    expect(events).toEqual([]);
  });

  it('a file that cannot be opened, or read, or is shorter than it says', async () => {
    const broken: Record<string, () => Promise<TftpContent>> = {
      unopened: () => Promise.reject(new Error('disk')),
      unread: async () => ({ size: 9, read: () => Promise.reject(new Error('disk')) }),
      short: async () => ({ size: 9, read: async () => Buffer.alloc(8) }),
    };
    const { server, events } = await serve({ open: async (name) => broken[name]?.() });
    const raw = await client();
    for (const name of Object.keys(broken)) {
      await raw.send(readRequest(name), server.port);
      expect((await raw.next()).packet).toEqual(error(0, 'the file cannot be read'));
    }
    await expect.poll(() => events).toHaveLength(3);
  });

  it('more transfers of one client than its share, and more than there may be in all', async () => {
    const limits = { transfersPerClient: 2, transfers: 3 };
    const { server, events } = await serve({ limits });
    const ask = async (address: string) => {
      const raw = await client(address);
      await raw.send(readRequest(seededName(2000)), server.port);
      return (await raw.next()).packet;
    };
    expect(await ask('127.0.0.2')).toMatchObject({ kind: 'data' });
    expect(await ask('127.0.0.2')).toMatchObject({ kind: 'data' });
    expect(await ask('127.0.0.2')).toEqual(error(0, 'too many transfers at once to this address'));
    expect(await ask('127.0.0.3')).toMatchObject({ kind: 'data' });
    expect(await ask('127.0.0.4')).toEqual(error(0, 'too many transfers at once, try again later'));
    expect(events.map((event) => event.kind)).toEqual(['refused', 'refused']);
  });
});

describe('start and stop', () => {
  it('says which port is taken', async () => {
    const { server } = await serve();
    const address = parseIpv4('127.0.0.1');
    if (!address) throw new Error('no address');
    const second = startTftpServer({ address, port: server.port, open: async () => undefined });
    await expect(second).rejects.toThrow(AppError);
    await expect(second).rejects.toThrow(`127.0.0.1 port ${server.port}: EADDRINUSE`);
  });

  it('lets a running transfer end, and takes no new one', async () => {
    const { server, events } = await serve();
    const [raw, late] = [await client(), await client()];
    await raw.send(readRequest(seededName(600)), server.port);
    const { from } = await raw.next();
    const stopped = server.stop();
    await late.send(readRequest(seededName(600)), server.port);
    await raw.send(ack(1), from.port);
    expect((await raw.next()).packet).toMatchObject({ kind: 'data', block: 2 });
    await raw.send(ack(2), from.port);
    await stopped;
    expect(await late.during(20)).toEqual([]);
    expect(events).toMatchObject([{ kind: 'loader-sent' }]);
  });

  it('tells the client of a transfer that takes too long', async () => {
    const { server, events } = await serve();
    const raw = await client();
    await raw.send(readRequest(seededName(5000)), server.port);
    await raw.next();
    await server.stop(50);
    expect((await raw.next()).packet).toMatchObject({
      kind: 'error',
      message: 'the boot server is stopping',
    });
    expect(events).toMatchObject([{ kind: 'broken-off' }]);
  });
});
