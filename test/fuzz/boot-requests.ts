import { createConnection } from 'node:net';
import { reportPath, scriptPath, volumePath } from '../../src/boot/boot-paths.ts';
import { createBootApp } from '../../src/http/boot-app.ts';
import type { ScriptQuery } from '../../src/http/boot-service.ts';
import { startHttp } from '../../src/http/start-http.ts';
import { seededRandom } from '../seeded-random.ts';
import { must } from './fuzz-target.ts';
import { mutate } from './mutate.ts';

const bootId = 'b'.repeat(32);
const report = JSON.stringify({ stage: 'kernel', uptime: 1.5 });
const head = 'Host: 10.77.0.1\r\nUser-Agent: iPXE/1.21.1\r\nConnection: close\r\n';
const post = `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${report.length}\r\n`;
const volume = JSON.stringify({
  ...{ at: 1.5, role: '', peerRole: '', connection: '', disk: '', peerDisk: '', done: 100 },
  ...{ suspended: false, serving: false, fence: false, release: false, met: true, problem: '' },
});
const mac = '52:54:00:00:00:21';
const seeds = [
  `GET ${scriptPath}?mac=${mac}&uuid=11111111-2222-3333-4444-555555555555&serial=ABC%20123 HTTP/1.1\r\n${head}\r\n`,
  `GET ${scriptPath}?mac=${mac}&uuid=&serial= HTTP/1.1\r\n${head}\r\n`,
  `HEAD ${scriptPath}?mac=${mac} HTTP/1.1\r\n${head}\r\n`,
  `POST ${reportPath(bootId)} HTTP/1.1\r\n${head}${post}\r\n${report}`,
  `POST ${volumePath(bootId, 'www')} HTTP/1.1\r\n${head}Content-Length: ${volume.length}\r\n\r\n${volume}`,
  `GET /images/${'a'.repeat(64)} HTTP/1.1\r\n${head}Range: bytes=0-99\r\n\r\n`,
].map((text) => Buffer.from(text));
const words = [
  'mac=',
  '&mac=',
  'mac[]=',
  'mac[a]=',
  '%00',
  '%',
  '%ff',
  '\r\n',
  '\r\n\r\n',
  '//',
  '/../',
  '?',
  '#',
]
  .concat([
    '\x1b[2J',
    'Transfer-Encoding: chunked\r\n',
    'Content-Length: 9\r\n',
    'Range: bytes=',
    '-',
    '__proto__',
  ])
  .map((text) => Buffer.from(text, 'latin1'));

/** Sends mutated requests to the boot listener; gives back how many were answered with which status. */
export async function fuzzBootRequests(
  seed: number,
  inputs: number,
): Promise<ReadonlyMap<string, number>> {
  const came = new Map<string, number>();
  let wrong = '';
  const app = createBootApp({
    loader: async () => undefined,
    grubStart: () => '',
    autoexec: () => '',
    async script(query: ScriptQuery) {
      if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(query.mac))
        wrong = `a machine called ${query.mac}`;
      return { status: 200, body: '#!ipxe\n' };
    },
    blob: async () => undefined,
    overlay: async () => undefined,
    secrets: async () => ({ kind: 'unknown' }),
    report: async (id) => (id === bootId ? { action: 'none' } : undefined),
    follow: async () => undefined,
    volume: (id) => (id === bootId ? 'lease=no' : undefined),
    sent: () => {},
  });
  const server = await startHttp(app, { host: '127.0.0.1', port: 0 });
  try {
    for (let n = 0; n < inputs; n += 1) {
      const request = mutate({ seeds, words }, seededRandom(seed + n));
      const answer = await exchange(server.port, request);
      const told = `seed ${seed + n}: ${Buffer.from(request).toString('latin1').slice(0, 300)}`;
      must(wrong === '', `${wrong}, ${told}`);
      const status = /^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 'none';
      must(answer === '' || status !== 'none', `no HTTP: ${answer.slice(0, 100)}, ${told}`);
      // Firmware follows no redirect, and what strangers send is no fault of the server's.
      must(!/^[35]/.test(status) || status === '505', `status ${status}, ${told}`);
      must(answer.length < 4000, `${answer.length} bytes of answer, ${told}`);
      must(!answer.includes('\x1b'), `an escape comes back, ${told}`);
      came.set(status, (came.get(status) ?? 0) + 1);
    }
  } finally {
    await server.stop(0);
  }
  return came;
}

/** Sends the bytes and all that comes back; a request that is not whole ends with the connection's half. */
function exchange(port: number, bytes: Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = createConnection({ host: '127.0.0.1', port }, () => socket.end(bytes));
    socket.setTimeout(5000, () => socket.destroy());
    socket.setEncoding('latin1');
    socket.on('data', (part) => {
      answer += part;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}
