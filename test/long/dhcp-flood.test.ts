import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { parseCidr } from '../../src/net/ipv4.ts';
import { packDhcpPacket, parseDhcpPacket } from '../../src/pxe/dhcp-packet.ts';
import { startDhcpServer } from '../../src/pxe/dhcp-server.ts';
import { openJournal } from '../../src/server/journal.ts';
import { openState } from '../../src/state/state.ts';
import { seededRandom } from '../seeded-random.ts';
import { aDhcpSite, ip } from '../unit/dhcp/a-dhcp-site.ts';
import { message, type Said } from '../unit/dhcp/messages.ts';

const relay = '127.0.0.2';
const mebibyte = 1024 * 1024;

it('50,000 DISCOVERs from made-up machines take neither memory nor the addresses of the others', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rc-flood-'));
  const state = openState(folder);
  let ahead = 0;
  const now = () => Date.now() + ahead;
  const journal = openJournal(state, now);
  // More addresses than machines in the flood: the pool itself bounds nothing.
  const site = aDhcpSite({
    boot: {
      subnet: parseCidr('127.0.0.0/8') ?? { base: ip('127.0.0.0'), prefix: 8 },
      server: ip('127.0.0.1'),
      pool: { first: ip('127.1.0.1'), last: ip('127.1.255.254') },
    },
  });
  let events = 0;
  let words = 0;
  const server = await startDhcpServer({
    segments: [{ serverAddress: ip('127.0.0.1'), httpServer: 'http://127.0.0.1' }],
    current: () => ({ site }),
    leases: state.leases,
    loaderFetchedAt: () => undefined,
    onEvent(event) {
      events += 1;
      if (event.kind === 'dhcp-refused') words += 1;
      journal.add(event);
    },
    log: () => {},
    ports: { server: 0, client: 68 },
    now,
  });
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  socket.bind(server.ports.server, relay);
  await once(socket, 'listening');
  let heard = 0;
  let web1 = 0;
  socket.on('message', (bytes) => {
    heard += 1;
    const parsed = parseDhcpPacket(bytes);
    if (parsed.kind === 'packet' && parsed.packet.yiaddr === '10.77.0.21') web1 += 1;
  });
  const say = (said: Said) => {
    const bytes = packDhcpPacket(message({ ...said, giaddr: relay }));
    socket.send(bytes, server.ports.server, '127.0.0.1');
  };
  try {
    const random = seededRandom(50_000);
    const byte = () =>
      Math.floor(random() * 256)
        .toString(16)
        .padStart(2, '0');
    const before = process.memoryUsage().rss;
    for (let sent = 0; sent < 50_000; ) {
      for (let n = 0; n < 50; n += 1, sent += 1) {
        say({ mac: `02:${byte()}:${byte()}:${byte()}:${byte()}:${byte()}` });
      }
      const wanted = sent + web1;
      if (sent % 5000 === 0) say({ mac: '52:54:00:00:00:21' });
      // Not faster than it answers: what the kernel drops would be no flood for the server.
      for (const end = Date.now() + 1000; heard < wanted && Date.now() < end; ) await delay(0);
    }
    await delay(500);
    expect(heard, 'it answered the flood').toBeGreaterThan(45_000);
    expect(web1, 'a known machine had its answer all the while').toBe(10);
    expect((process.memoryUsage().rss - before) / mebibyte).toBeLessThan(150);
    expect(events).toBeLessThan(3000);
    expect(words).toBeGreaterThanOrEqual(1);
    expect(journal.machines().size).toBeLessThan(3000);
    state.events.flush();
    expect(state.events.list({ limit: 100_000 }).length).toBeLessThan(3000);
    // A minute later every offer has ended, and the lowest address is free again.
    ahead = 61_000;
    const answered = once(socket, 'message');
    say({ mac: '52:54:00:00:00:99' });
    const [bytes] = (await answered) as [Buffer];
    const parsed = parseDhcpPacket(bytes);
    expect(parsed.kind === 'packet' && parsed.packet.yiaddr).toBe('127.1.0.1');
  } finally {
    socket.close();
    await server.stop();
    journal.stop();
    state.close();
    rmSync(folder, { recursive: true });
  }
}, 300_000);
