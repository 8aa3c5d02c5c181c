import { afterEach, describe, expect, it } from 'vitest';
import { AppError } from '../../src/errors.ts';
import { parseIpv4 } from '../../src/net/ipv4.ts';
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
    open?: (name: string) => Promise<Uint8Array | undefined>;
    limits?: Partial<TftpServerLimits>;
    address?: string;
    singlePort?: () => boolean;
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
    ...(options.singlePort ? { singlePort: options.singlePort } : {}),
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
    const { server, events } = await serve();
    const raw = await client();
    await raw.send(readRequest(seededName(9), { tsize: '0' }), server.port);
    const { from } = await raw.next();
    await raw.send({ kind: 'error', code: 8, message: 'thank you' }, from.port);
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
});

/** The process does nothing else for so many milliseconds. */
function stall(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

it('what was acknowledged while the server was busy elsewhere is not sent again', async () => {
  const { server, events } = await serve();
  const raw = await client();
  await raw.send(readRequest(seededName(5 * 512)), server.port);
  for (let block = 1; block <= 6; block++) {
    const { packet, from } = await raw.next();
    expect(packet).toMatchObject({ kind: 'data', block });
    await raw.send(ack(block), from.port);
    // Longer than the time-out: timer and acknowledgement are both due.
    if (block > 1) stall(120);
  }
  await expect.poll(() => events).toMatchObject([{ kind: 'loader-sent', retransmissions: 0 }]);
});

describe('with a single port', () => {
  it('every transfer comes from the port that was asked, told apart by the client', async () => {
    const { server, events } = await serve({ singlePort: () => true });
    const clients = [await client(), await client(), await client('127.0.0.2')];
    const taken = await Promise.all(
      clients.map((raw, index) => take(raw, seededName(5000 + index), server.port)),
    );
    expect(taken.map(({ from }) => from.port)).toEqual(Array(3).fill(server.port));
    expect(taken.map(({ bytes }, i) => bytes.equals(seededBytes(5000 + i)))).not.toContain(false);
    await expect.poll(() => events.map((e) => e.kind)).toEqual(Array(3).fill('loader-sent'));
  });

  it('an edit of the site counts from the next transfer on, and breaks none off', async () => {
    let isSingle = false;
    const { server, events } = await serve({ singlePort: () => isSingle });
    const [early, late] = [await client(), await client()];
    await early.send(readRequest(seededName(600)), server.port);
    const first = await early.next();
    expect(first.from.port).not.toBe(server.port);
    isSingle = true;
    expect((await take(late, seededName(600), server.port)).from.port).toBe(server.port);
    await late.send(readRequest(seededName(700)), server.port);
    expect((await late.next()).from.port).toBe(server.port);
    isSingle = false;
    await late.send(ack(1), server.port);
    expect((await late.next()).packet).toMatchObject({ kind: 'data', block: 2 });
    await late.send(ack(2), server.port);
    await early.send(ack(1), first.from.port);
    expect((await early.next()).packet).toMatchObject({ kind: 'data', block: 2 });
    await early.send(ack(2), first.from.port);
    await expect.poll(() => events.map((e) => e.kind)).toEqual(Array(3).fill('loader-sent'));
  });

  it('acknowledgements of a stranger move nobody on, and get no answer', async () => {
    const { server } = await serve({ singlePort: () => true });
    const [raw, stranger] = [await client(), await client()];
    await raw.send(readRequest(seededName(1000)), server.port);
    await raw.next();
    await stranger.send(ack(1), server.port);
    expect(await raw.during(50)).toEqual([]);
    expect(await stranger.during(0)).toEqual([]);
  });

  it('a running transfer may end while the server stops', async () => {
    const { server, events } = await serve({ singlePort: () => true });
    const [raw, late] = [await client(), await client()];
    await raw.send(readRequest(seededName(600)), server.port);
    await raw.next();
    const stopped = server.stop();
    await late.send(readRequest(seededName(600)), server.port);
    await raw.send(ack(1), server.port);
    expect((await raw.next()).packet).toMatchObject({ kind: 'data', block: 2 });
    await raw.send(ack(2), server.port);
    await stopped;
    expect(await late.during(20)).toEqual([]);
    expect(events).toMatchObject([{ kind: 'loader-sent' }]);
  });

  it('a client whose port is closed is given up without word of it', async () => {
    const { server, events } = await serve({ singlePort: () => true });
    const raw = await openRawTftpClient();
    await raw.send(readRequest(seededName(600)), server.port);
    await raw.next();
    await raw.send(ack(1), server.port);
    await raw.next();
    raw.close();
    await expect
      .poll(() => events, { timeout: 8000 })
      .toMatchObject([{ kind: 'loader-sent', acknowledged: false }]);
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
    ['a request as long as a file', readRequest('a'.repeat(2000)), error(4)],
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

  it('a file that cannot be read', async () => {
    const { server, events } = await serve({ open: () => Promise.reject(new Error('disk')) });
    const raw = await client();
    await raw.send(readRequest('broken'), server.port);
    expect((await raw.next()).packet).toEqual(error(0, 'the file cannot be read'));
    await expect.poll(() => events).toHaveLength(1);
  });
});

describe('more transfers than there may be at once', () => {
  const request = readRequest(seededName(600));
  const asker = async (port: number, address: string) => {
    const raw = await client(address);
    await raw.send(request, port);
    return raw;
  };
  const finish = async (raw: RawTftpClient) => {
    const { from } = await raw.next();
    await raw.send(ack(1), from.port);
    await raw.next();
    await raw.send(ack(2), from.port);
  };

  it('wait in silence, and come in their turn', async () => {
    const { server, events } = await serve({ limits: { transfers: 1 } });
    const first = await asker(server.port, '127.0.0.2');
    const second = await asker(server.port, '127.0.0.3');
    const third = await asker(server.port, '127.0.0.4');
    expect(await second.during(50)).toEqual([]);
    await finish(first);
    await finish(second);
    await finish(third);
    await expect
      .poll(() => events.map((event) => event.kind))
      .toEqual(Array(3).fill('loader-sent'));
  });

  it('of one address wait for each other, and for nobody else', async () => {
    const { server } = await serve({ limits: { transfersPerClient: 1 } });
    const first = await asker(server.port, '127.0.0.2');
    const second = await asker(server.port, '127.0.0.2');
    const other = await asker(server.port, '127.0.0.3');
    await finish(other);
    expect(await second.during(50)).toEqual([]);
    await finish(first);
    await finish(second);
  });

  it('are started once, however often the client that waits repeats its request', async () => {
    const { server, opened } = await serve({ limits: { transfers: 1 } });
    const first = await asker(server.port, '127.0.0.2');
    const second = await asker(server.port, '127.0.0.3');
    await second.send(request, server.port);
    await second.send(request, server.port);
    await finish(first);
    await finish(second);
    expect(await second.during(50)).toEqual([]);
    expect(opened).toHaveLength(2);
  });

  it('do not wait for one whose client never answered', async () => {
    const { server } = await serve({ limits: { transfers: 1 } });
    await asker(server.port, '127.0.0.2');
    const second = await asker(server.port, '127.0.0.3');
    expect(await second.during(1100)).toEqual([]);
    await second.send(request, server.port);
    await finish(second);
  });

  it('that waited too long, or find the queue full, are each an event', async () => {
    const { server, events } = await serve({ limits: { transfers: 1, waiting: 1, patience: 20 } });
    const first = await asker(server.port, '127.0.0.2');
    const second = await asker(server.port, '127.0.0.3');
    await asker(server.port, '127.0.0.4');
    await expect.poll(() => events).toMatchObject([{ kind: 'refused', remote: '127.0.0.4' }]);
    expect(await second.during(50)).toEqual([]);
    await finish(first);
    await expect.poll(() => events).toHaveLength(3);
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'refused', remote: '127.0.0.3' }),
    );
    expect(await second.during(20)).toEqual([]);
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
