import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseCidr } from '../../../src/net/ipv4.ts';
import { packDhcpPacket, parseDhcpPacket } from '../../../src/pxe/dhcp-packet.ts';
import { type DhcpServerInput, startDhcpServer } from '../../../src/pxe/dhcp-server.ts';
import { describePacket, type WirePacket } from '../../../src/pxe/wire-packet.ts';
import type { Network } from '../../../src/site/site.ts';
import { memoryLeases } from '../../memory-leases.ts';
import { aDhcpSite, ip } from './a-dhcp-site.ts';
import { message, type Said, speaker } from './messages.ts';

/** The boot network on loopback, with a relay at 127.0.0.2: answers to a relay need no broadcast. */
const loopback: Partial<Network> = {
  subnet: parseCidr('127.0.0.0/24') ?? { base: ip('127.0.0.0'), prefix: 24 },
  server: ip('127.0.0.1'),
  pool: { first: ip('127.0.0.200'), last: ip('127.0.0.203') },
};
const relay = '127.0.0.2';
const stranger = '52:54:00:00:00:99';

const running: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of running.splice(0).reverse()) await stop();
});

async function start(change: Partial<DhcpServerInput> = {}) {
  const seen: string[] = [];
  const site = aDhcpSite({ boot: loopback });
  const server = await startDhcpServer({
    segments: [{ serverAddress: ip('127.0.0.1'), httpServer: 'http://127.0.0.1' }],
    current: () => ({ site }),
    leases: memoryLeases((leases) => {
      for (const lease of leases) seen.push(`lease ${lease.address}`);
    }),
    loaderFetchedAt: () => undefined,
    onEvent: (event) => seen.push(`${event.kind} ${event.node}`),
    log: (line) => seen.push(line),
    ports: { server: 0, client: 68 },
    ...change,
  });
  running.push(() => server.stop());
  return { server, seen };
}

/** A relay on loopback that passes messages on and hands back the answers. */
async function aRelay(port: number) {
  const socket: Socket = createSocket({ type: 'udp4', reuseAddr: true });
  socket.bind(port, relay);
  await once(socket, 'listening');
  running.push(() => void socket.close());
  return {
    tell: (bytes: Uint8Array) => socket.send(bytes, port, '127.0.0.1'),
    async ask(said: Said) {
      const answered = once(socket, 'message', { signal: AbortSignal.timeout(5000) });
      socket.send(packDhcpPacket(message({ ...said, giaddr: relay })), port, '127.0.0.1');
      const [bytes] = (await answered) as [Buffer];
      const parsed = parseDhcpPacket(bytes);
      if (parsed.kind === 'refusal') throw new Error(parsed.reason);
      return parsed.packet;
    },
  };
}

describe('the server on its sockets', () => {
  it('leads a machine from DISCOVER to ACK, its lease written in between', async () => {
    const { server, seen } = await start();
    const client = await aRelay(server.ports.server);
    const offer = await client.ask({ mac: stranger, options: speaker.uefi });
    expect(offer).toMatchObject({
      op: 'reply',
      yiaddr: '127.0.0.200',
      file: 'boot/loader/ipxe.efi',
    });
    const ack = await client.ask({
      mac: stranger,
      type: 'request',
      serverId: '127.0.0.1',
      requested: '127.0.0.200',
      options: speaker.uefi,
    });
    expect(ack.yiaddr).toBe('127.0.0.200');
    expect(seen).toEqual([
      'dhcp-offered spare-525400000099',
      'lease 127.0.0.200',
      'dhcp-acked spare-525400000099',
    ]);
  });

  it('shows what it hears and what it says, byte for byte', async () => {
    const shown: WirePacket[] = [];
    const { server } = await start({ onPacket: (packet) => shown.push(packet) });
    const client = await aRelay(server.ports.server);
    await client.ask({ mac: stranger, options: speaker.uefi });
    const about = { protocol: 'dhcp', machine: stranger, via: 'pxe' };
    expect(shown).toMatchObject([
      { ...about, direction: 'in', remote: { address: relay, port: server.ports.server } },
      { ...about, direction: 'out', remote: { address: relay, port: server.ports.server } },
    ]);
    expect(shown.map(describePacket)).toEqual([
      `DISCOVER PXEClient:Arch:00007 relay ${relay} after 4 s`,
      `OFFER PXEClient 127.0.0.200 boot file boot/loader/ipxe.efi relay ${relay}`,
    ]);
  });

  it('acknowledges nothing that it could not write down', async () => {
    const { server, seen } = await start({
      leases: memoryLeases(() => {
        throw new Error('the disk is full');
      }),
    });
    const client = await aRelay(server.ports.server);
    await client.ask({ mac: stranger });
    const request: Said = { type: 'request', serverId: '127.0.0.1', requested: '127.0.0.200' };
    const answers = [client.ask({ mac: stranger, ...request }).then((p) => p.chaddr[5])];
    // web1 needs no lease: its answer is the first to come, and the other one never does.
    answers.push(client.ask({ mac: '52:54:00:00:00:21' }).then((p) => p.chaddr[5]));
    expect(await Promise.race(answers)).toBe(0x21);
    expect(seen).toContain('dhcp-refused spare-525400000099');
    expect(seen).not.toContain('dhcp-acked spare-525400000099');
    await Promise.allSettled(answers);
  });

  it('goes by the site of this moment', async () => {
    let site = aDhcpSite({ boot: loopback });
    const { server } = await start({ current: () => ({ site }) });
    const client = await aRelay(server.ports.server);
    expect((await client.ask({ mac: stranger })).yiaddr).toBe('127.0.0.200');
    site = aDhcpSite({
      boot: { ...loopback, pool: { first: ip('127.0.0.220'), last: ip('127.0.0.221') } },
    });
    expect((await client.ask({ mac: stranger })).yiaddr).toBe('127.0.0.220');
  });

  it('gives the script to an iPXE on a machine that fetched our loader, until its firmware asks again', async () => {
    let now = 1_000_000;
    const { server } = await start({ now: () => now, loaderFetchedAt: () => 1_000_000 });
    const client = await aRelay(server.ports.server);
    const fileFor = async (options: Said['options']) =>
      (await client.ask({ options: options ?? {} })).file;
    now += 1000;
    expect(await fileFor(speaker.ipxe)).toMatch(/^http:\/\/127\.0\.0\.1\/boot\/script\?mac=/);
    expect(await fileFor(speaker.bios)).toBe('boot/loader/undionly.kpxe');
    expect(await fileFor(speaker.ipxe)).toBe('boot/loader/undionly.kpxe');
  });

  it('notes what it cannot read and goes on', async () => {
    const { server, seen } = await start();
    const client = await aRelay(server.ports.server);
    client.tell(Buffer.from('what is this'));
    client.tell(packDhcpPacket({ ...message(), op: 'reply' }));
    expect((await client.ask({ mac: stranger })).yiaddr).toBe('127.0.0.200');
    expect(seen.slice(0, 2)).toEqual([
      'dhcp: a message of 127.0.0.2 is not answered: 12 bytes are no DHCP message',
      expect.stringMatching(
        /^dhcp: a message of 127.0.0.2, hardware address .*, is not answered: it is a reply, not a request$/,
      ),
    ]);
  });

  it('frees its port when it stops', async () => {
    const { server } = await start();
    await server.stop();
    running.pop();
    const again = await start({ ports: server.ports });
    expect(again.server.ports).toEqual(server.ports);
  });
});

describe('acknowledgements of one turn of the loop', () => {
  const asking = (n: number): Said => ({
    mac: `52:54:00:00:02:0${n}`,
    ...{ type: 'request', requested: `127.0.0.20${n}`, serverId: '127.0.0.1' },
  });

  it('share one write, and none leaves before it', async () => {
    const writes: number[] = [];
    const { server, seen } = await start({ leases: memoryLeases((l) => writes.push(l.length)) });
    const client = await aRelay(server.ports.server);
    const got = await Promise.all([0, 1, 2].map((n) => client.ask(asking(n))));
    expect(got.map((p) => p.options.get(53)?.[0])).toEqual([5, 5, 5]);
    expect(writes.reduce((sum, n) => sum + n)).toBe(3);
    expect(writes.length).toBeLessThan(3);
    expect(seen.filter((line) => line.startsWith('dhcp-acked'))).toHaveLength(3);
  });

  it('leave none of them where the disk refuses, and no address stays taken', async () => {
    let full = true;
    const leases = memoryLeases(() => {
      if (full) throw new Error('the disk is full');
    });
    const { server, seen } = await start({ leases });
    const client = await aRelay(server.ports.server);
    const refused = [0, 1, 2].map((n) => client.ask(asking(n)));
    expect((await Promise.allSettled(refused)).map((r) => r.status)).toEqual(
      Array(3).fill('rejected'),
    );
    for (const n of [0, 1, 2]) expect(leases.at(ip(`127.0.0.20${n}`))).toBeUndefined();
    expect(seen.filter((line) => line.startsWith('dhcp-refused'))).toHaveLength(3);
    expect(seen.join()).not.toContain('dhcp-acked');
    full = false;
    const other = await client.ask({ ...asking(0), mac: '52:54:00:00:02:09' });
    expect([other.options.get(53)?.[0], other.yiaddr]).toEqual([5, '127.0.0.200']);
  });
});

describe('while the disk is at work', () => {
  const asking: Said = { mac: stranger, type: 'request', requested: '127.0.0.201' };
  const chosen = { ...asking, serverId: '127.0.0.1' };

  it('an acknowledgement waits for it, and an offer to another machine does not', async () => {
    const disk = Promise.withResolvers<void>();
    const leases = memoryLeases(undefined, () => disk.promise);
    const { server, seen } = await start({ leases });
    const client = await aRelay(server.ports.server);
    client.tell(packDhcpPacket(message({ ...chosen, giaddr: relay })));
    const other = await client.ask({ mac: '52:54:00:00:00:98' });
    expect(other.options.get(53)?.[0]).toBe(2);
    expect(seen.join()).not.toContain('dhcp-acked');
    disk.resolve();
    await vi.waitFor(() => expect(seen.join()).toContain('dhcp-acked'));
  });

  it('what it fails to keep is not acknowledged, and is when the client asks again', async () => {
    let fails = true;
    const leases = memoryLeases(undefined, async () => {
      if (fails) throw new Error('EIO');
    });
    const { server, seen } = await start({ leases });
    const client = await aRelay(server.ports.server);
    client.tell(packDhcpPacket(message({ ...chosen, giaddr: relay })));
    await vi.waitFor(() => expect(seen).toContain('dhcp-refused spare-525400000099'));
    expect(seen.join()).not.toContain('dhcp-acked');
    fails = false;
    const ack = await client.ask(chosen);
    expect([ack.options.get(53)?.[0], ack.yiaddr]).toEqual([5, '127.0.0.201']);
  });

  it('the server stops only when what was taken is acknowledged', async () => {
    const disk = Promise.withResolvers<void>();
    const leases = memoryLeases(undefined, () => disk.promise);
    const { server, seen } = await start({ leases });
    const client = await aRelay(server.ports.server);
    client.tell(packDhcpPacket(message({ ...chosen, giaddr: relay })));
    await vi.waitFor(() => expect(leases.at(ip('127.0.0.201'))).toBeDefined());
    const stopped = running.pop()?.();
    disk.resolve();
    await stopped;
    expect(seen.join()).toContain('dhcp-acked');
  });
});

describe('what keeps it from starting', () => {
  const refusal = async (change: Partial<DhcpServerInput>) => {
    const outcome: unknown = await start(change).catch((error: unknown) => error);
    return outcome;
  };

  it('an address that this machine has not', async () => {
    const boot = { ...loopback, server: ip('192.0.2.1') };
    const site = aDhcpSite({ boot });
    expect(
      await refusal({
        segments: [{ serverAddress: ip('192.0.2.1'), httpServer: 'http://192.0.2.1' }],
        current: () => ({ site }),
      }),
    ).toMatchObject({
      code: 'dhcp-bind',
      hint: 'give the address to the interface on the boot segment, then start again',
    });
  });

  it('another program on the port', async () => {
    const other = createSocket('udp4');
    other.bind(0, '127.0.0.1');
    await once(other, 'listening');
    running.push(() => void other.close());
    expect(await refusal({ ports: { server: other.address().port, client: 68 } })).toMatchObject({
      code: 'dhcp-bind',
      hint: expect.stringContaining('another DHCP server'),
    });
  });

  it('a site without a network for its address', async () => {
    expect(await refusal({ current: () => ({ site: aDhcpSite() }) })).toMatchObject({
      code: 'dhcp-no-network',
    });
  });
});
