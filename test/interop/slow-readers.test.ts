import { readFileSync } from 'node:fs';
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { imagePath } from '../../src/boot/boot-paths.ts';
import { digestOf } from '../../src/digest.ts';
import { openImageStore } from '../../src/images/image-store.ts';
import { storeImage } from '../stored-image.ts';
import { createDhcpSegment, type DhcpSegment } from './dhcp-segment.ts';
import type { FollowedProgram } from './followed-program.ts';
import type { Namespace } from './namespace.ts';

const siteYaml = `site: slow
domain: slow.example
admins: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJDqR3W2M8BGYYGlFiRkaqiJ2vJ9QmL0CE9OF5yH13/3 test]
networks:
  boot: {subnet: 10.77.0.0/24, server: 10.77.0.1, dhcp: server}
`;
const mebibyte = 1024 * 1024;
const size = 1024 * mebibyte;
const root = digestOf('a root of zeros');
const slowReaders = 500;

let segment: DhcpSegment;
let server: FollowedProgram;
let machine: Namespace;

beforeAll(async () => {
  segment = await createDhcpSegment();
  const [site, state] = [join(segment.folder, 'site'), join(segment.folder, 'state')];
  await mkdir(join(site, 'nodes'), { recursive: true });
  await writeFile(join(site, 'site.yaml'), siteYaml);
  await storeImage(state);
  const blob = openImageStore(state).blobPath(root);
  await writeFile(blob, '');
  await truncate(blob, size);
  const main = join(import.meta.dirname, '../../src/main.ts');
  const args = [main, '--site', site, '--state', state, 'serve', '--no-admin'];
  server = segment.server.start(process.execPath, args);
  await server.line('it serves', (line) => line.startsWith('rolecall serves site slow'));
  machine = await segment.addHost('52:54:00:00:00:11');
  // What the machines' own kernels hold is none of the server's; here they are one kernel, which has a limit for all.
  await machine.run('sysctl', ['-qw', 'net.ipv4.tcp_rmem=4096 131072 1048576']);
  await machine.ip('address add 10.77.0.11/24 dev eth0');
});
afterAll(async () => {
  await server?.stop('SIGTERM');
  await segment?.stop();
});

/** MiB that the server takes now, and the most that it took. */
function serverMemory() {
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
  const of = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  return { now: Math.round(of('VmRSS')), most: Math.round(of('VmHWM')) };
}

/** MiB that the kernel keeps to be sent from the server's sockets: `w` of `skmem`, ss(8). */
async function kernelMemory(): Promise<number> {
  const { stdout } = await segment.server.run('ss', ['-tnm', 'sport = 80']);
  const queued = [...stdout.matchAll(/skmem:\([^)]*,w(\d+),/g)].map((found) => Number(found[1]));
  return Math.round(queued.reduce((sum, bytes) => sum + bytes, 0) / mebibyte);
}

/** MiB a second of four that read 64 MiB each at once; every byte has to come. */
async function fetchFast(): Promise<number> {
  const wanted = 64 * mebibyte;
  const begun = performance.now();
  const got = await Promise.all(
    [0, 1, 2, 3].map(async (n) => {
      const range = `${n * wanted}-${(n + 1) * wanted - 1}`;
      const args = ['--silent', '--show-error', '--fail', '--range', range];
      const write = ['--output', '/dev/null', '--write-out', '%{size_download}'];
      const { stdout } = await machine.run('curl', [
        ...args,
        ...write,
        `http://10.77.0.1${imagePath(root)}`,
      ]);
      return Number(stdout);
    }),
  );
  expect(got).toEqual(Array(4).fill(wanted));
  return Math.round((4 * wanted) / mebibyte / ((performance.now() - begun) / 1000));
}

test('five hundred that read a root a byte a second cost bounded memory, and the others little time', async () => {
  await fetchFast();
  const alone = { rate: await fetchFast(), ...serverMemory(), kernel: await kernelMemory() };
  const script = new URL('slow-readers-process.ts', import.meta.url).pathname;
  const slow = machine.start(process.execPath, [
    ...[script, '10.77.0.1', imagePath(root), String(size), String(slowReaders)],
  ]);
  await slow.line('all have asked', (line) => line === `reading: ${slowReaders}`);
  const kernel = await kernelMemory();
  const beside = { rate: await fetchFast(), ...serverMemory(), kernel };
  await slow.stop('SIGTERM');
  process.stderr.write(
    `http: ${slowReaders} slow readers: ${JSON.stringify({ alone, beside })} (MiB/s, MiB)\n`,
  );
  // What shared reads may take, and two of the shortest pieces of each reader beyond it.
  const shared = Math.min(512, Math.max(64, totalmem() / mebibyte / 16));
  const each = (2 * 32 * 1024) / mebibyte;
  expect(beside.most).toBeLessThan(alone.now + shared + slowReaders * each + 64);
  // 128 to 512 KiB for each that are not sent, and as much as 128 on its way.
  const unsent = Math.min(512, Math.max(128, totalmem() / 1024 / 16384));
  expect(beside.kernel).toBeLessThan((slowReaders * (unsent + 128)) / 1024);
}, 120_000);
