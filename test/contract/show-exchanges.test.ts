import { rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { imagePath, loaderPath, reportPath, secretsPath } from '../../src/boot/boot-paths.ts';
import { digestOf } from '../../src/digest.ts';
import { createBootApp } from '../../src/http/boot-app.ts';
import { type HttpServer, startHttp } from '../../src/http/start-http.ts';
import { describePacket, type WirePacket } from '../../src/pxe/wire-packet.ts';
import { makeFolder } from '../unit/state/temporary-folder.ts';
import { call } from './http-call.ts';

const folder = makeFolder();
const path = join(folder, 'blob');
const size = 8 * 1024 * 1024;
const token = 'c'.repeat(64);
let server: HttpServer;
let app: RequestListener;
const shown: WirePacket[] = [];

beforeAll(async () => {
  writeFileSync(path, Buffer.alloc(size));
  const file = async () => ({ path, size });
  app = createBootApp(
    {
      ...{
        loader: file,
        blob: file,
        overlay: file,
        autoexec: () => '#!ipxe\n',
        grubStart: () => '',
      },
      script: async () => ({ status: 200, body: '#!ipxe\n', refused: 'no image is published' }),
      secrets: async () => ({ kind: 'unknown' }),
      report: async () => ({ action: 'none' }),
      follow: async () => undefined,
      volume: () => 'lease=no',
    },
    { onPacket: (packet) => shown.push(packet) },
  );
  server = await startHttp(app, { host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  shown.length = 0;
});

const lines = () => shown.map((packet) => `${packet.direction} ${describePacket(packet)}`);

test('a request and its answer are shown, with the length of a body and not the body', async () => {
  await call(server.port, `/${loaderPath('ipxe.efi')}`);
  await vi.waitFor(() => expect(shown).toHaveLength(2));
  expect(lines()).toEqual([
    'in GET /boot/loader/ipxe.efi',
    `out GET /boot/loader/ipxe.efi → 200, ${size} bytes`,
  ]);
  expect(shown[1]?.bytes.length).toBeLessThan(1000);
  expect(Buffer.from(shown[1]?.bytes ?? []).toString()).toMatch(
    /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\n$/s,
  );
  expect(shown[0]).toMatchObject({
    local: { address: '127.0.0.1', port: server.port },
    remote: { address: '127.0.0.1' },
  });
});

test('a HEAD carries no body', async () => {
  await call(server.port, `/${loaderPath('ipxe.efi')}`, { method: 'HEAD' });
  await vi.waitFor(() => expect(shown).toHaveLength(2));
  expect(lines()[1]).toBe('out HEAD /boot/loader/ipxe.efi → 200, 0 bytes');
});

test('an answer that is cut short is said to be', async () => {
  const socket = connect(server.port, '127.0.0.1');
  socket.write(`GET ${imagePath(digestOf('root'))} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  socket.once('data', () => socket.destroy());
  await vi.waitFor(() => expect(shown).toHaveLength(2));
  // The kernel may have had room for all of it before the client went away.
  const told = /→ 200, (\d+) bytes(, cut short)?$/.exec(lines()[1] ?? '');
  expect(Number(told?.[1])).toBeLessThanOrEqual(size);
  expect(Number(told?.[1]) < size).toBe(told?.[2] !== undefined);
});

test('of an answer that is cut short those bytes are told that left', async () => {
  const cut = await startHttp(app, { host: '127.0.0.1', port: 0 });
  const socket = connect(cut.port, '127.0.0.1').pause();
  socket.write(`GET ${imagePath(digestOf('root'))} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  await vi.waitFor(() => expect(shown).toHaveLength(1));
  await setTimeout(300);
  await cut.stop(0);
  await vi.waitFor(() => expect(shown).toHaveLength(2));
  const came = Buffer.concat((await socket.toArray()) as Buffer[]);
  const body = came.length - came.indexOf('\r\n\r\n') - 4;
  const told = Number(/→ 200, (\d+) bytes, cut short$/.exec(lines()[1] ?? '')?.[1]);
  expect(told).toBeLessThanOrEqual(body);
  // The last piece that was begun is not counted.
  expect(told).toBeGreaterThan(body - 512 * 1024);
});

test('a script that refuses says why, and of which machine it is', async () => {
  await call(server.port, '/boot/script?mac=52-54-00-00-00-21');
  await vi.waitFor(() => expect(shown).toHaveLength(2));
  expect(lines()[1]).toMatch(/→ 200, 7 bytes, refused: no image is published$/);
  expect(shown.map((packet) => packet.machine)).toEqual(Array(2).fill('52:54:00:00:00:21'));
});

test('a report is one packet that tells its stage', async () => {
  const body = JSON.stringify({ stage: 'failed', uptime: 3, reason: 'no root' });
  await call(server.port, reportPath('b'.repeat(32)), { method: 'POST', body });
  await vi.waitFor(() => expect(shown).toHaveLength(1));
  expect(lines()[0]).toMatch(/failed \(no root\)$/);
});

test('the token of a boot is in no packet', async () => {
  const headers = { authorization: `Bearer ${token}` };
  await call(server.port, secretsPath('b'.repeat(32)), { headers });
  await vi.waitFor(() => expect(shown).toHaveLength(2));
  expect(shown.map((packet) => Buffer.from(packet.bytes).toString()).join('')).not.toContain(token);
});
