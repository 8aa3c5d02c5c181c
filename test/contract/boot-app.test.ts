import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  followPath,
  grubConfigPath,
  imagePath,
  loaderPath,
  overlayPath,
  reportPath,
  scriptPath,
  secretsPath,
  volumePath,
} from '../../src/boot/boot-paths.ts';
import { digestOf } from '../../src/digest.ts';
import { createBootApp } from '../../src/http/boot-app.ts';
import type { Report, ScriptQuery, SecretsAnswer, Sent } from '../../src/http/boot-service.ts';
import { createMetrics } from '../../src/http/metrics.ts';
import { type HttpServer, startHttp } from '../../src/http/start-http.ts';
import type { VolumeReport } from '../../src/volumes/volume-report.ts';
import { sampleService } from '../unit/http/sample-nodes.ts';
import { makeFolder } from '../unit/state/temporary-folder.ts';
import { call } from './http-call.ts';

const folder = makeFolder();
const blob = randomBytes(3 * 1024 * 1024 + 17);
const digest = digestOf(blob);
const empty = digestOf('');
const vanished = digestOf('vanished');
const cut = digestOf('cut');
const bootId = 'b'.repeat(32);
const token = 'c'.repeat(64);

const asked: {
  queries: ScriptQuery[];
  reports: Report[];
  tokens: string[];
  sent: Sent[];
  volumes: VolumeReport[];
} = {
  queries: [],
  reports: [],
  tokens: [],
  sent: [],
  volumes: [],
};
let secrets: SecretsAnswer = { kind: 'unknown' };
const metrics = createMetrics(sampleService().service);
let server: HttpServer;

const stored = new Map([
  [digest, { path: join(folder, 'blob'), size: blob.length }],
  [empty, { path: join(folder, 'empty'), size: 0 }],
  [vanished, { path: join(folder, 'vanished'), size: 100 }],
  [cut, { path: join(folder, 'cut'), size: 2_000_000 }],
]);

beforeAll(async () => {
  writeFileSync(join(folder, 'blob'), blob);
  writeFileSync(join(folder, 'empty'), '');
  writeFileSync(join(folder, 'cut'), Buffer.alloc(2_000_000));
  truncateSync(join(folder, 'cut'), 1_000_000);
  const app = createBootApp(
    {
      loader: async (name) => (name === 'undionly.kpxe' ? stored.get(digest) : undefined),
      grubStart: () => 'sleep 15\n',
      autoexec: (from) => `#!ipxe\necho ${from}\n`,
      async script(query) {
        if (!query.preview) asked.queries.push(query);
        return { status: 200, body: '#!ipxe\n' };
      },
      blob: async (d) => stored.get(d),
      overlay: async (d) => stored.get(d),
      async secrets(id, offered) {
        asked.tokens.push(`${id} ${offered}`);
        return secrets;
      },
      async report(id, report) {
        asked.reports.push(report);
        if ('set' in report && report.set) return { action: 'follow', set: report.set };
        return id === bootId ? { action: 'reboot' } : undefined;
      },
      follow: async (id, set) =>
        id === bootId && set === digest ? 'write /etc/motd\n' : undefined,
      volume: (id, volume, report) => {
        asked.volumes.push(report);
        return id === bootId && volume === 'www' ? 'lease=yes' : undefined;
      },
      sent: (sent) => asked.sent.push(sent),
    },
    { metrics },
  );
  server = await startHttp(app, { host: '127.0.0.1', port: 0 });
});

afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

beforeEach(() => {
  for (const list of Object.values(asked)) list.length = 0;
});

describe('a running node that follows', () => {
  test('hears of the set in the answer to its report, and fetches what to do', async () => {
    const body = JSON.stringify({ stage: 'ready', uptime: 20, set: digest, vrrp: 'master' });
    const answer = await call(server.port, reportPath(bootId), { method: 'POST', body });
    expect(answer.body.toString()).toBe(`action=follow set=${digest}\n`);
    expect(asked.reports).toEqual([
      { stage: 'ready', uptime: 20, reason: '', set: digest, vrrp: 'master' },
    ]);
    const steps = await call(server.port, followPath(bootId, digest));
    expect(steps.body.toString()).toBe('write /etc/motd\n');
    expect(steps.headers['cache-control']).toBe('no-store');
  });

  test('that was not told to gets no steps', async () => {
    expect((await call(server.port, followPath(bootId, empty))).status).toBe(404);
    expect((await call(server.port, followPath(bootId, digest), { method: 'POST' })).status).toBe(
      405,
    );
  });

  test('must name a set', async () => {
    const body = JSON.stringify({ stage: 'followed', uptime: 20, set: 'none' });
    const answer = await call(server.port, reportPath(bootId), { method: 'POST', body });
    expect(answer.status).toBe(400);
    expect(answer.body.toString()).toBe('set: not 64 hexadecimal digits\n');
  });
});

describe('files', () => {
  test.each([
    ['a loader', `/${loaderPath('undionly.kpxe')}`],
    ['an image', imagePath(digest)],
    ['an overlay', overlayPath(digest)],
  ])('%s comes whole, every byte', async (_name, path) => {
    const answer = await call(server.port, path);
    expect(answer.status).toBe(200);
    expect(answer.headers['content-length']).toBe(String(blob.length));
    expect(answer.headers['transfer-encoding']).toBeUndefined();
    expect(answer.body.equals(blob)).toBe(true);
    await vi.waitFor(() =>
      expect(asked.sent).toMatchObject([{ bytes: blob.length, complete: true, from: '127.0.0.1' }]),
    );
  });

  test('the first script of our loader says who asks, and is kept by nobody', async () => {
    const answer = await call(server.port, `/${loaderPath('autoexec.ipxe')}`);
    expect(answer.body.toString()).toBe('#!ipxe\necho 127.0.0.1\n');
    expect(answer.headers['cache-control']).toBe('no-store');
  });

  test('HEAD says the length and sends nothing', async () => {
    const answer = await call(server.port, imagePath(digest), { method: 'HEAD' });
    expect(answer.status).toBe(200);
    expect(answer.headers['content-length']).toBe(String(blob.length));
    expect(answer.headers['accept-ranges']).toBe('bytes');
    expect(answer.body).toHaveLength(0);
    expect(asked.sent).toEqual([]);
  });

  test('an empty file is an empty answer', async () => {
    const answer = await call(server.port, imagePath(empty));
    expect(answer.status).toBe(200);
    expect(answer.headers['content-length']).toBe('0');
  });

  const end = blob.length - 1;
  test.each([
    ['bytes=0-0', 0, 0],
    ['bytes=5-1048580', 5, 1_048_580],
    [`bytes=${end}-`, end, end],
    ['bytes=1000000-', 1_000_000, end],
    ['bytes=-10', end - 9, end],
    ['bytes=0-99999999999', 0, end],
    ['bytes=-99999999999', 0, end],
  ])('range %s', async (range, first, last) => {
    const answer = await call(server.port, imagePath(digest), { headers: { range } });
    expect(answer.status).toBe(206);
    expect(answer.headers['content-range']).toBe(`bytes ${first}-${last}/${blob.length}`);
    expect(answer.headers['content-length']).toBe(String(last - first + 1));
    expect(answer.body.equals(blob.subarray(first, last + 1))).toBe(true);
  });

  test.each([`bytes=${blob.length}-`, 'bytes=99999999999-', 'bytes=-0'])(
    'range %s is 416',
    async (range) => {
      const answer = await call(server.port, imagePath(digest), { headers: { range } });
      expect(answer.status).toBe(416);
      expect(answer.headers['content-range']).toBe(`bytes */${blob.length}`);
    },
  );

  test.each(['bytes=5-2', 'bytes=', 'bytes=-', 'lines=1-2', 'bytes=0-1,4-5', 'nonsense'])(
    'range %s is not understood, so the whole file comes',
    async (range) => {
      const answer = await call(server.port, imagePath(digest), {
        method: 'HEAD',
        headers: { range },
      });
      expect(answer.status).toBe(200);
      expect(answer.headers['content-length']).toBe(String(blob.length));
    },
  );

  test('the entity tag is the digest; who has it gets 304', async () => {
    const etag = `"${digest}"`;
    const whole = await call(server.port, imagePath(digest), { method: 'HEAD' });
    expect(whole.headers.etag).toBe(etag);
    expect(whole.headers['cache-control']).toContain('immutable');
    for (const has of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const answer = await call(server.port, imagePath(digest), {
        headers: { 'if-none-match': has },
      });
      expect(answer.status, has).toBe(304);
      expect(answer.body).toHaveLength(0);
    }
    const other = await call(server.port, imagePath(digest), {
      method: 'HEAD',
      headers: { 'if-none-match': '"other"' },
    });
    expect(other.status).toBe(200);
  });

  test('If-Range of another file gets the whole', async () => {
    const ask = (etag: string) =>
      call(server.port, imagePath(digest), {
        headers: { range: 'bytes=0-9', 'if-range': etag },
      });
    expect((await ask(`"${digest}"`)).status).toBe(206);
    expect((await ask('"other"')).status).toBe(200);
  });

  test('one that vanished from the disk is 500, and nobody may keep that answer', async () => {
    const answer = await call(server.port, imagePath(vanished));
    expect(answer.status).toBe(500);
    expect(answer.headers.etag).toBeUndefined();
    expect(answer.headers['cache-control']).toBeUndefined();
  });

  test('one that is shorter than it should be cuts the connection', async () => {
    await expect(call(server.port, imagePath(cut))).rejects.toThrow(/aborted|socket hang up/);
  });

  test('a client that goes away leaves no file open', async () => {
    await new Promise<void>((resolve) => {
      const going = request({ port: server.port, path: imagePath(digest) }, (response) => {
        response.once('data', () => {
          going.destroy();
          resolve();
        });
      });
      going.on('error', () => {});
      going.end();
    });
    await vi.waitFor(() => expect(openFiles()).not.toContain(join(folder, 'blob')));
  });
});

function openFiles(): string[] {
  return readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
}

describe('never a redirect', () => {
  const paths = [
    `//${loaderPath('undionly.kpxe')}`,
    `/boot//loader///undionly.kpxe`,
    `/${imagePath(digest)}`,
    `//127.0.0.1/${loaderPath('undionly.kpxe')}`,
    `/${loaderPath('undionly.kpxe')}/`,
    '/',
    '//',
    '/boot',
    '/boot/',
    '/boot/loader',
    '/boot/loader/',
    '/images',
    '/images/',
    '/images/..',
    '/images/%2e%2e%2f%2e%2e%2fetc%2fpasswd',
    '/boot/loader/..%2f..%2fetc%2fpasswd',
    '/boot/loader/%zz',
    '/report',
    `/images/${digest.toUpperCase()}`,
    '/api/v1/nodes',
    '/metrics',
  ];
  test.each(paths)('%s', async (path) => {
    const { status, headers } = await call(server.port, path, { method: 'GET' });
    expect(status < 300 || status >= 400).toBe(true);
    expect(headers.location).toBeUndefined();
  });

  test('repeated slashes count as one', async () => {
    for (const path of paths.slice(0, 3)) {
      expect((await call(server.port, path)).status, path).toBe(200);
    }
  });

  test('the absolute form of a request is understood', async () => {
    const path = `http://127.0.0.1:${server.port}${imagePath(digest)}`;
    expect((await call(server.port, path)).status).toBe(200);
  });

  test('what is not there is 404 in plain text', async () => {
    for (const path of ['/x', loaderPath('/none.ipxe'), imagePath(digestOf('x'))]) {
      const answer = await call(server.port, path.startsWith('/') ? path : `/${path}`);
      expect(answer.status).toBe(404);
      expect(answer.headers['content-type']).toMatch(/^text\/plain/);
    }
  });

  test('the admin side is not here', async () => {
    for (const path of ['/api/v1/nodes', '/metrics', '/openapi.json', '/']) {
      expect((await call(server.port, path)).status, path).toBe(404);
    }
  });
});

describe('the boot script', () => {
  test('is asked for with what the machine says of itself', async () => {
    const uuid = '4C4C4544-0034-4D10-8037-B3C04F515831';
    const path = `${scriptPath}?mac=52-54-00-00-00-21&uuid=${uuid}&serial=S4M%207Q`;
    const answer = await call(server.port, path);
    expect(answer.body.toString()).toBe('#!ipxe\n');
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(asked.queries).toEqual([
      { mac: '52:54:00:00:00:21', loader: 'ipxe', uuid: uuid.toLowerCase(), serial: 'S4M 7Q' },
    ]);
  });

  test('what SMBIOS leaves empty is left out', async () => {
    await call(server.port, `${scriptPath}?mac=525400000021&uuid=&serial=%20`);
    expect(asked.queries).toEqual([{ mac: '52:54:00:00:00:21', loader: 'ipxe' }]);
  });

  test("is in GRUB's language where GRUB asks", async () => {
    await call(server.port, `${grubConfigPath}?mac=525400000021&uuid=&serial=&arch=x86_64`);
    expect(asked.queries).toEqual([{ mac: '52:54:00:00:00:21', loader: 'grub', arch: 'x86_64' }]);
  });

  test.each(['', '?mac=', '?mac=52:54', '?mac=52:54:00:00:00:21&mac=52:54:00:00:00:22'])(
    'without one MAC address is refused: %s',
    async (query) => {
      expect((await call(server.port, scriptPath + query)).status).toBe(400);
      expect(asked.queries).toEqual([]);
    },
  );

  test('HEAD begins no boot', async () => {
    for (const path of [scriptPath, grubConfigPath]) {
      const answer = await call(server.port, `${path}?mac=525400000021`, { method: 'HEAD' });
      expect([answer.status, answer.headers['content-length']]).toEqual([200, '7']);
      expect(answer.body).toHaveLength(0);
    }
    expect(asked.queries).toEqual([]);
  });
});

describe('secrets', () => {
  const headers = { authorization: `Bearer ${token}` };

  test('come for a token, and nobody keeps them', async () => {
    secrets = { kind: 'sent', tar: Buffer.from('a tar') };
    const answer = await call(server.port, secretsPath(bootId), { headers });
    expect(answer.status).toBe(200);
    expect(answer.body.toString()).toBe('a tar');
    expect(answer.headers['content-length']).toBe('5');
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(asked.tokens).toEqual([`${bootId} ${token}`]);
  });

  test.each(['used', 'unknown'] as const)('a token that is %s is 403', async (kind) => {
    secrets = { kind };
    expect((await call(server.port, secretsPath(bootId), { headers })).status).toBe(403);
  });

  test.each(['', 'Bearer', `Basic ${token}`, 'Bearer short', `Bearer ${token} `.repeat(2)])(
    'without a token are 401: %s',
    async (authorization) => {
      const answer = await call(server.port, secretsPath(bootId), { headers: { authorization } });
      expect(answer.status).toBe(401);
      expect(asked.tokens).toEqual([]);
    },
  );

  test('HEAD spends no token', async () => {
    const answer = await call(server.port, secretsPath(bootId), { method: 'HEAD', headers });
    expect(answer.status).toBe(405);
    expect(asked.tokens).toEqual([]);
  });
});

describe('reports', () => {
  const post = (body: string, headers: Record<string, string> = {}, id = bootId) =>
    call(server.port, reportPath(id), { method: 'POST', body, headers });

  test('are answered with what the node shall do', async () => {
    const answer = await post('{"stage":"ready","uptime":8.41}');
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toMatch(/^text\/plain/);
    expect(answer.body.toString()).toBe('action=reboot\n');
    expect(asked.reports).toEqual([{ stage: 'ready', uptime: 8.41, reason: '' }]);
  });

  test('are JSON whatever the client calls them', async () => {
    const body = '{"stage":"failed","uptime":9,"reason":"web: connection refused","new":1}';
    for (const type of ['application/x-www-form-urlencoded', 'application/json', 'text/plain']) {
      expect((await post(body, { 'content-type': type })).status, type).toBe(200);
    }
    expect(asked.reports[0]).toEqual({
      stage: 'failed',
      uptime: 9,
      reason: 'web: connection refused',
    });
  });

  test('lose what would forge lines or colours of a log', async () => {
    const reason = 'web: \u001b[31mdown\n10:00:00 52:54:00:00:00:01 web2 ready\u009b';
    await post(JSON.stringify({ stage: 'warning', uptime: 9, reason }));
    expect(asked.reports).toEqual([
      {
        stage: 'warning',
        uptime: 9,
        reason: 'web:  [31mdown 10:00:00 52:54:00:00:00:01 web2 ready ',
      },
    ]);
  });

  test('carry hardware', async () => {
    const hardware = {
      cpu: 'QEMU Virtual CPU',
      cpus: 2,
      memory: 480,
      disks: [{ name: 'vda', bytes: 1, model: '' }],
      nics: [{ name: 'eth0', mac: '52:54:00:00:00:21', driver: 'virtio_net' }],
      serial: '',
      uuid: '',
      product: '',
      firmware: 'bios',
    };
    await post(JSON.stringify({ stage: 'hardware', uptime: 1, hardware }));
    expect(asked.reports).toEqual([{ stage: 'hardware', uptime: 1, hardware }]);
  });

  test.each([
    ['', 400],
    ['{', 400],
    ['null', 400],
    ['[]', 400],
    ['{"stage":"dhcp","uptime":1}', 400],
    ['{"stage":"ready","uptime":-1}', 400],
    ['{"stage":"ready"}', 400],
    ['{"stage":"warning","uptime":1}', 400],
    ['{"stage":"hardware","uptime":1,"hardware":{}}', 400],
    [JSON.stringify({ stage: 'failed', uptime: 1, reason: 'x'.repeat(5000) }), 400],
    [JSON.stringify({ stage: 'failed', uptime: 1, reason: 'x'.repeat(70_000) }), 413],
  ])('of another shape are refused: %.60s', async (body, status) => {
    const answer = await post(body);
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toMatch(/^text\/plain/);
    expect(asked.reports).toEqual([]);
  });

  test('of an unknown boot are 404', async () => {
    expect((await post('{"stage":"ready","uptime":1}', {}, 'x')).status).toBe(404);
  });
});

describe('what nodes say of volumes', () => {
  const said = {
    ...{ at: 31.5, role: 'Secondary', peerRole: 'Primary', connection: 'Connected' },
    ...{ disk: 'UpToDate', peerDisk: 'UpToDate', done: 100, suspended: false, serving: false },
    ...{ fence: false, release: false, met: true, problem: '' },
  };
  const post = (body: unknown, path = volumePath(bootId, 'www')) =>
    call(server.port, path, { method: 'POST', body: JSON.stringify(body) });

  test('is answered in lines that sh reads', async () => {
    const survey = { state: 'blank', bytes: 268435456, model: 'www', found: '' };
    const order = { id: 'a1', step: 'metadata', state: 'done', why: '' };
    const answer = await post({ ...said, survey, order });
    expect(answer.status).toBe(200);
    expect(answer.body.toString()).toBe('lease=yes\n');
    expect(asked.volumes).toEqual([{ ...said, survey, order }]);
  });

  test('of a boot or volume that is not there is 404', async () => {
    expect((await post(said, volumePath('x', 'www'))).status).toBe(404);
    expect((await post(said, volumePath(bootId, 'mail'))).status).toBe(404);
  });

  test.each([
    [{ ...said, at: -1 }],
    [{ ...said, done: 101 }],
    [{ ...said, fence: 'yes' }],
    [{ ...said, disk: 'x'.repeat(50) }],
    [{ ...said, survey: { state: 'empty', bytes: 1, model: '', found: '' } }],
  ])('of another shape is refused: %j', async (body) => {
    expect((await post(body)).status).toBe(400);
    expect(asked.volumes).toEqual([]);
  });
});

test.each([
  [imagePath(digest), 'POST', 'GET, HEAD'],
  [scriptPath, 'PUT', 'GET, HEAD'],
  [secretsPath(bootId), 'POST', 'GET'],
  [reportPath(bootId), 'GET', 'POST'],
  [volumePath(bootId, 'www'), 'GET', 'POST'],
])('%s refuses %s and says what it takes', async (path, method, allow) => {
  const answer = await call(server.port, path, { method });
  expect(answer.status).toBe(405);
  expect(answer.headers.allow).toBe(allow);
});

test('requests and bytes are counted by route, never by what strangers type', async () => {
  await call(server.port, imagePath(digest));
  await call(server.port, `/stranger-${Date.now()}`);
  const text = await vi.waitFor(async () => {
    const now = await metrics.registry.metrics();
    expect(now).toMatch(
      /requests_total\{listener="boot",route="other",method="GET",status="404"\}/,
    );
    return now;
  });
  expect(text).toMatch(
    /requests_total\{listener="boot",route="\/images\/:digest",method="GET",status="200"\} \d/,
  );
  expect(text).toMatch(/sent_bytes_total\{what="image"\} \d{7}/);
  expect(text).not.toContain('stranger');
});
