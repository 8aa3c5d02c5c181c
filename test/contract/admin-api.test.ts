import { request } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { createBootSet } from '../../src/boot/boot-set.ts';
import { digestOf } from '../../src/digest.ts';
import { createAdminApp } from '../../src/http/admin-app.ts';
import { type AdminRoute, adminRoutes } from '../../src/http/admin-routes.ts';
import type { AdminService } from '../../src/http/admin-service.ts';
import { errorSchema } from '../../src/http/api-schemas.ts';
import { type HttpServer, startHttp } from '../../src/http/start-http.ts';
import type { EventQuery } from '../../src/state/event-table.ts';
import { sampleNode, sampleService, sampleSpare } from '../unit/http/sample-nodes.ts';
import { address, event, mac, script, start } from '../unit/state/fold.ts';
import { call } from './http-call.ts';

const nodes = [
  sampleNode('web1', 21, 'ready'),
  sampleNode('web2', 22, 'failed', { reason: 'web: answers 502', nextRole: ['mail'] }),
  sampleNode('web3', 23, 'absent'),
  sampleNode('web4', 24, 'silent'),
  sampleSpare(51),
];
const sample = sampleService(nodes);
const queries: EventQuery[] = [];
const blob = { digest: digestOf('blob'), size: 4 };
const service: AdminService = {
  ...sample.service,
  events(query) {
    queries.push(query);
    return [
      { id: 1, event: event(0, { kind: 'silent' }) },
      { id: 2, event: script(1, 'a') },
    ];
  },
  boots: (name) => {
    const set = createBootSet({
      node: name,
      roles: ['web'],
      image: digestOf('image'),
      kernel: blob,
      initramfs: blob,
      root: [blob],
      overlay: blob,
      arguments: [],
    });
    return [
      {
        bootId: 'b'.repeat(32),
        machine: mac(1),
        node: name,
        set,
        runs: set,
        offered: null,
        tokenHash: digestOf('the token'),
        tokenUsedAt: null,
        createdAt: start,
        address: address(21),
        lastReportAt: start,
        lastStage: 'ready',
      },
    ];
  },
};
let server: HttpServer;

beforeAll(async () => {
  const app = createAdminApp(service, { names: ['boot.tokyo.example'] });
  server = await startHttp(app, { host: '127.0.0.1', port: 0 });
});
afterAll(() => server.stop());
beforeEach(() => {
  queries.length = 0;
  sample.held.nodes = nodes;
  sample.held.problem = undefined;
});

const get = async (path: string) => {
  const answer = await call(server.port, path);
  return { ...answer, json: () => JSON.parse(answer.body.toString()) as unknown };
};

interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<
    Record<
      string,
      {
        readonly get: {
          readonly operationId: string;
          readonly parameters: readonly { name: string; in: string }[];
          readonly responses: Readonly<
            Record<string, { content: Record<string, { schema: Record<string, unknown> }> }>
          >;
        };
      }
    >
  >;
}

describe('the OpenAPI file', () => {
  const described = async () => (await get('/openapi.json')).json() as OpenApi;

  test('lists every route that is served', async () => {
    const { openapi, paths } = await described();
    expect(openapi).toBe('3.1.0');
    expect(Object.keys(paths).toSorted()).toEqual(
      Object.values(adminRoutes)
        .map((r) => r.path)
        .toSorted(),
    );
  });

  const finite = Object.entries(adminRoutes).filter(([name]) => name !== 'stream');
  test.each(finite)('%s answers as it says', async (_name, route: AdminRoute) => {
    const path = route.path.replace('{name}', 'web1').replace('{mac}', '52:54:00:00:00:21');
    const answer = await get(path);
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']?.split(';')[0]).toBe(route.type);
    const said = (await described()).paths[route.path]?.get.responses['200']?.content[route.type];
    const schema = said?.schema;
    expect(schema).toBeDefined();
    if (route.type === 'application/json' && schema) {
      expect(z.fromJSONSchema(schema).parse(answer.json())).toEqual(answer.json());
    }
  });

  const failing = [
    ['/api/v1/nodes/{name}', '/api/v1/nodes/nobody', 404],
    ['/api/v1/boots/{name}', '/api/v1/boots/nobody', 404],
    ['/api/v1/machines/{mac}/boot', '/api/v1/machines/web1/boot', 400],
    ['/api/v1/machines/{mac}/boot.pcap', '/api/v1/machines/web1/boot.pcap', 400],
    [
      '/api/v1/machines/{mac}/boot.pcap',
      '/api/v1/machines/52:54:00:00:00:21/boot.pcap?since=soon',
      400,
    ],
    ['/api/v1/events', '/api/v1/events?machine=x', 400],
    ['/api/v1/events', '/api/v1/events?since=soon', 400],
  ] as const;
  test.each(failing)('%s says how it refuses %s', async (route, path, status) => {
    const answer = await get(path);
    expect(answer.status).toBe(status);
    expect(errorSchema.parse(answer.json()).error.hint).not.toBe('');
    expect(Object.keys((await described()).paths[route]?.get.responses ?? {})).toContain(
      String(status),
    );
  });

  test('names every parameter that a path has', async () => {
    const { paths } = await described();
    for (const [path, { get: operation }] of Object.entries(paths)) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((found) => found[1]);
      const named = operation.parameters.filter((p) => p.in === 'path').map((p) => p.name);
      expect(named, path).toEqual(inPath);
    }
  });
});

test('nodes have exactly the fields that other programs were promised', async () => {
  const rows = (await get('/api/v1/nodes')).json() as Record<string, unknown>[];
  for (const row of rows) {
    expect(Object.keys(row)).toEqual([
      'name',
      'role',
      'mac',
      'address',
      'stage',
      'since',
      'bootSet',
      'image',
      'reason',
    ]);
  }
  expect(rows.map((r) => r.name)).toEqual(nodes.map((n) => n.name));
});

test('a boot does not show the hash of its token', async () => {
  const answer = await get('/api/v1/boots/web1');
  expect(answer.body.toString()).not.toContain(digestOf('the token'));
  expect(answer.body.toString()).not.toContain('okenHash');
});

test('events are asked for by machine and time', async () => {
  await get('/api/v1/events?machine=52-54-00-00-00-01&since=2026-03-04T09:00:00Z');
  await get(`/api/v1/events?since=${start}`);
  await get('/api/v1/events');
  expect(queries).toEqual([{ machine: mac(1), since: start }, { since: start }, {}]);
});

test('health is degraded while the site on disk is not served', async () => {
  expect((await get('/api/v1/health')).json()).toMatchObject({ status: 'ok', problem: '' });
  sample.held.problem = { message: 'nodes/web1.yaml is broken', problems: [] };
  expect((await get('/api/v1/health')).json()).toMatchObject({
    status: 'degraded',
    problem: 'nodes/web1.yaml is broken',
  });
});

test('metrics count nodes by stage, events, and the seconds of a boot', async () => {
  const ready = sampleNode('web1', 21, 'ready');
  sample.held.nodes = [ready, ...nodes.slice(1)];
  const told = (stage: 'ready' | 'alive') => ({
    kind: 'event' as const,
    event: {
      at: Date.parse(ready.since),
      machine: mac(21),
      node: 'web1',
      kind: 'stage' as const,
      bootId: ready.bootId,
      stage,
      reason: '',
      uptime: 1,
    },
  });
  sample.change(told('ready'));
  sample.change(told('alive'));
  const later = told('ready');
  sample.change({ ...later, event: { ...later.event, at: later.event.at + 60_000 } });
  const text = (await get('/metrics')).body.toString();
  expect(text).toContain('rolecall_nodes{stage="ready"} 2');
  expect(text).toContain('rolecall_nodes{stage="failed"} 1');
  expect(text).toContain('rolecall_nodes{stage="dhcp"} 0');
  expect(text).toContain('rolecall_site_valid 1');
  expect(text).toContain('rolecall_events_total{kind="stage"} 3');
  expect(text).toContain('rolecall_boot_seconds_count 1');
  expect(text).toContain('rolecall_boot_seconds_sum 20.5');
});

describe('who may ask', () => {
  const ask = async (host: string) =>
    (await call(server.port, '/api/v1/nodes', { headers: { host } })).status;

  test.each([
    'localhost',
    'LOCALHOST:8470',
    '127.0.0.1',
    '127.0.0.1:8470',
    '[::1]:8470',
    '10.77.0.1',
    'boot.tokyo.example:80',
  ])('%s is a name of this server', async (host) => {
    expect(await ask(host)).toBe(200);
  });

  test.each(['evil.example', 'evil.example:8470', 'localhost.evil.example', '127.0.0.1.nip.io'])(
    '"%s" is none: a page that was made to point here gets nothing',
    async (host) => {
      const answer = await call(server.port, '/', { headers: { host } });
      expect(answer.status).toBe(421);
      expect(answer.body.toString()).not.toContain('web1');
    },
  );

  test('every answer forbids frames, foreign scripts and guessing of types', async () => {
    for (const path of ['/', '/api/v1/nodes', '/console/console.js', '/nowhere']) {
      const { headers } = await get(path);
      expect(headers['content-security-policy'], path).toMatch(/^default-src 'none';/);
      expect(headers['content-security-policy']).not.toContain('unsafe');
      expect(headers['x-frame-options']).toBe('DENY');
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['access-control-allow-origin']).toBeUndefined();
      expect(headers['x-powered-by']).toBeUndefined();
    }
  });

  test('nothing can be changed from here', async () => {
    for (const { path } of Object.values(adminRoutes)) {
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
        const answer = await call(server.port, path.replace('{name}', 'web1'), { method });
        expect(answer.status, `${method} ${path}`).toBe(404);
      }
    }
  });
});

describe('the stream', () => {
  /** Lines as they come, and how the stream ended. */
  function listen(port = server.port) {
    let text = '';
    let ended = false;
    const asked = request({ port, path: '/api/v1/stream', agent: false }, (response) => {
      response.on('data', (part: Buffer) => {
        text += part;
      });
      response.on('end', () => {
        ended = true;
      });
    });
    asked.on('error', () => {});
    asked.end();
    return { text: () => text, ended: () => ended, leave: () => asked.destroy() };
  }

  test('tells each event as it happens, until the client leaves', async () => {
    const before = sample.listeners.size;
    const stream = listen();
    await vi.waitFor(() => expect(sample.listeners.size).toBe(before + 1));
    const happened = event(0, { kind: 'warning', reason: 'two\nlines' });
    sample.change({ kind: 'event', event: happened });
    sample.change({ kind: 'site' });
    await vi.waitFor(() => expect(stream.text()).toContain('event: site\ndata: {}\n\n'));
    const data = /event: event\ndata: (.*)\n\n/.exec(stream.text())?.[1] ?? '';
    expect(JSON.parse(data)).toEqual(happened);
    stream.leave();
    await vi.waitFor(() => expect(sample.listeners.size).toBe(before));
  });

  test('ends when the server stops, at once', async () => {
    const own = await startHttp(createAdminApp(service), { host: '127.0.0.1', port: 0 });
    const stream = listen(own.port);
    await vi.waitFor(() => expect(stream.text()).toContain('retry:'));
    await own.stop(60_000);
    await vi.waitFor(() => expect(stream.ended()).toBe(true));
  });
});
