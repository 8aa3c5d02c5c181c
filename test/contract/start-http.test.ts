import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { fetchAdmin } from '../../src/cli/admin-client.ts';
import { createAdminApp } from '../../src/http/admin-app.ts';
import { type ListenAddress, startHttp } from '../../src/http/start-http.ts';
import { sampleNode, sampleService } from '../unit/http/sample-nodes.ts';
import { temporaryFolder } from '../unit/state/temporary-folder.ts';
import { call } from './http-call.ts';

const app = createAdminApp(sampleService([sampleNode('web1', 21, 'ready')]).service);

async function start(listen: ListenAddress) {
  const server = await startHttp(app, listen);
  onTestFinished(() => server.stop());
  return server;
}

test('a unix socket is for its owner, and the command line asks there', async () => {
  const state = temporaryFolder();
  await start({ socketPath: join(state, 'admin.sock') });
  expect(statSync(join(state, 'admin.sock')).mode & 0o777).toBe(0o600);
  expect(await fetchAdmin({ state }, '/api/v1/nodes')).toMatchObject([{ name: 'web1' }]);
  await expect(fetchAdmin({ state }, '/api/v1/nodes/web9')).rejects.toMatchObject({
    code: 'unknown-node',
    hint: 'rolecall node ls',
  });
});

test('a socket that a killed server left is replaced, one in use is not', async () => {
  const socketPath = join(temporaryFolder(), 'admin.sock');
  const killed = `
    require('node:net').createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, 'SIGKILL'));
  `;
  expect(spawnSync(process.execPath, ['-e', killed]).signal).toBe('SIGKILL');
  expect(statSync(socketPath).isSocket()).toBe(true);
  await start({ socketPath });
  expect((await call(0, '/api/v1/health', { socketPath })).status).toBe(200);
  await expect(startHttp(app, { socketPath })).rejects.toMatchObject({ code: 'cannot-listen' });
  expect((await call(0, '/api/v1/health', { socketPath })).status).toBe(200);
});

test('an address in use, or of another machine, is refused with what to do', async () => {
  const { port } = await start({ host: '127.0.0.1', port: 0 });
  await expect(startHttp(app, { host: '127.0.0.1', port })).rejects.toMatchObject({
    code: 'cannot-listen',
    message: expect.stringContaining(`127.0.0.1:${port}: another program listens there`),
    hint: expect.stringContaining('ss -ltnp'),
  });
  await expect(startHttp(app, { host: '192.0.2.1', port: 0 })).rejects.toMatchObject({
    message: expect.stringContaining('does not have that address'),
  });
});

test('stop lets an answer under way end', async () => {
  const server = await startHttp(
    (_request, response) => {
      response.write('first, ');
      setTimeout(() => response.end('last'), 300);
    },
    { host: '127.0.0.1', port: 0 },
  );
  const answer = call(server.port, '/');
  await new Promise((resolve) => setTimeout(resolve, 100));
  await server.stop();
  expect((await answer).body.toString()).toBe('first, last');
});

test('stop does not wait for connections that clients keep open after their answer', async () => {
  const server = await startHttp(
    (_request, response) => {
      response.write('first, ');
      setTimeout(() => response.end('last'), 200);
    },
    { host: '127.0.0.1', port: 0 },
  );
  // Keeps its connections for the next request.
  const answer = await fetch(`http://127.0.0.1:${server.port}/`);
  const body = answer.text();
  // Longer than this test may take.
  await server.stop(60_000);
  expect(await body).toBe('first, last');
}, 8_000);

test('stop cuts one that does not end', async () => {
  const server = await startHttp((_request, response) => response.write('for ever'), {
    host: '127.0.0.1',
    port: 0,
  });
  const cut = new Promise((resolve) => {
    request({ port: server.port }, (response) => {
      response.resume();
      response.on('error', resolve);
    }).end();
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  await server.stop(50);
  expect(await cut).toMatchObject({ code: 'ECONNRESET' });
});

test('what happens while a stream of events is being ended is not written to it', async () => {
  const { service, change, listeners } = sampleService();
  const server = await startHttp(createAdminApp(service), { host: '127.0.0.1', port: 0 });
  const streamed = call(server.port, '/api/v1/stream');
  // One listener counts for the metrics, the other is the stream.
  await vi.waitFor(() => expect(listeners.size).toBe(2));
  const stopped = server.stop();
  change({ kind: 'site' });
  await stopped;
  expect((await streamed).body.toString()).not.toContain('event: site');
});

test('where no server runs, the command line says what to type', async () => {
  const state = temporaryFolder();
  await expect(fetchAdmin({ state }, '/api/v1/nodes')).rejects.toMatchObject({
    code: 'server-not-reached',
    message: `no boot server runs with the state folder ${state}`,
    hint: expect.stringContaining('rolecall --site DIR serve'),
  });
  const deep = join(state, 'x'.repeat(100));
  await expect(fetchAdmin({ state: deep }, '/api/v1/nodes')).rejects.toMatchObject({
    code: 'path-too-long',
  });
  const { port } = await start({ host: '127.0.0.1', port: 0 });
  const server = `http://127.0.0.1:${port}`;
  expect(await fetchAdmin({ state }, '/api/v1/nodes', server)).toHaveLength(1);
  await expect(fetchAdmin({ state }, '/', 'ftp://x')).rejects.toMatchObject({ code: 'usage' });
});

test('something else that answers is not taken for a server', async () => {
  const other = await startHttp((_request, response) => response.end('<html>'), {
    host: '127.0.0.1',
    port: 0,
  });
  onTestFinished(() => other.stop());
  const server = `http://127.0.0.1:${other.port}`;
  await expect(fetchAdmin({ state: '/' }, '/', server)).rejects.toMatchObject({
    code: 'not-rolecall',
  });
});
