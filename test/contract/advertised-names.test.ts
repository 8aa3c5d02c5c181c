import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImageManifest } from '../../src/boot/image-manifest.ts';
import { openImageStore } from '../../src/images/image-store.ts';
import type { Ipv4 } from '../../src/net/ipv4.ts';
import type { MacAddress } from '../../src/net/mac.ts';
import { bootAnswer } from '../../src/pxe/boot-options.ts';
import type { DhcpClient } from '../../src/pxe/identify-client.ts';
import { architectures, loaderFiles } from '../../src/pxe/loader-by-client.ts';
import { loadRoles } from '../../src/roles/load-roles.ts';
import { type RunningServer, startServer } from '../../src/server/start-server.ts';
import { runProgram } from '../../src/system/run-program.ts';

/** Every name that DHCP, a boot script or kernel arguments give away is fetched from the real servers. */
const mac = '52:54:00:00:00:11' as MacAddress;
const address = '127.0.0.1' as Ipv4;
let folder: string;
let server: RunningServer;
let http: string;
let tftpPort: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rolecall-contract-'));
  const site = join(folder, 'site');
  await mkdir(join(site, 'nodes'), { recursive: true });
  await writeFile(join(site, 'site.yaml'), siteYaml);
  await writeFile(join(site, 'nodes/web1.yaml'), `mac: ${mac}\naddress: 127.0.0.11\nrole: web\n`);
  const state = join(folder, 'state');
  await storeImage(state);
  const [httpPort, tftp, dhcp] = [await freePort(), await freePort(), await freePort()];
  http = `http://${address}:${httpPort}`;
  tftpPort = tftp;
  server = await startServer({
    siteDir: site,
    stateDir: state,
    version: '0',
    ports: { http: httpPort, tftp, dhcp: { server: dhcp, client: await freePort() } },
    log: () => {},
  });
});
afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true });
});

const ways: readonly DhcpClient['via'][] = ['pxe', 'http', 'ipxe', 'rolecall'];
const offers = Object.entries(architectures).flatMap(([arch, { name, firmware }]) =>
  ways.map((via) => ({ arch: Number(arch), name, firmware, via })),
);

describe('what DHCP names', () => {
  test.each(offers)('$name ($arch) by $via', async ({ arch, firmware, via }) => {
    const facts = { serverAddress: address, httpServer: http, isOurLoader: false };
    const answer = bootAnswer({ arch, firmware, via, mac } as DhcpClient, facts, 'server');
    if (answer.kind !== 'boot') {
      expect(architectures[arch]?.loader, 'a refusal is for want of a loader').toBeUndefined();
      return;
    }
    const body = await get(expand(answer.file));
    if (via === 'rolecall') expect(body.toString()).toMatch(/^#!ipxe\n/);
    else expect(body.toString()).toBe(contentOf(architectures[arch]?.loader ?? ''));
  });

  test('the script that UEFI loaders look for', async () => {
    expect((await get('autoexec.ipxe')).toString()).toMatch(/^#!ipxe\n/);
  });
});

describe('what the boot script names', () => {
  let script: string;
  beforeAll(async () => {
    script = (await get(`${http}/boot/script?mac=${mac}&uuid=&serial=`)).toString();
  });
  const argument = (name: string) =>
    new RegExp(`rolecall\\.${name}=(\\S+)`).exec(script)?.[1] ?? '';

  test('kernel and initramfs', async () => {
    const urls = [...new Set(script.match(/http:\S+images\S+/g))];
    const bodies = await Promise.all(urls.map(async (url) => (await get(url)).toString()));
    expect(bodies).toEqual([contentOf('kernel'), contentOf('initramfs')]);
  });

  test('the root, by its digest', async () => {
    const [digest] = argument('root').split(':');
    expect((await get(`${argument('server')}/images/${digest}`)).toString()).toBe(
      contentOf('root'),
    );
  });

  test('the overlay, of the size that is said', async () => {
    const [digest, size] = argument('overlay').split(':');
    const body = await get(`${argument('server')}/boot/overlay/${digest}`);
    expect(body.byteLength).toBe(Number(size));
  });

  test('the secrets, once', async () => {
    const url = `${argument('server')}/boot/secrets/${argument('boot')}`;
    const headers = { authorization: `Bearer ${argument('token')}` };
    expect((await fetch(url, { headers })).status).toBe(200);
    expect((await fetch(url, { headers })).status).toBe(403);
  });

  test('the address for reports', async () => {
    const url = `${argument('server')}/report/${argument('boot')}`;
    const answer = await fetch(url, {
      method: 'POST',
      body: JSON.stringify({ stage: 'kernel', uptime: 1.5 }),
    });
    expect([answer.status, (await answer.text()).trim()]).toEqual([200, 'action=none']);
  });
});

const siteYaml = `site: contract
domain: contract.example
admins: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJDqR3W2M8BGYYGlFiRkaqiJ2vJ9QmL0CE9OF5yH13/3 test]
networks:
  boot: {subnet: 127.0.0.0/24, server: ${address}, dhcp: server, pool: 127.0.0.200-127.0.0.249}
`;

function contentOf(part: string): string {
  return `the bytes of ${part}\n`;
}

/** An image of a few bytes whose manifest says what the shipped roles ask for. */
async function storeImage(state: string): Promise<void> {
  const store = openImageStore(state);
  const add = async (part: string) => {
    const file = join(folder, `part-${part}`);
    await writeFile(file, contentOf(part));
    return store.addBlob(file);
  };
  const loaders: ImageManifest['loaders'] = Object.fromEntries(
    await Promise.all(loaderFiles.map(async (name) => [name, await add(name)] as const)),
  );
  const roles = await loadRoles(folder);
  if (!roles.ok) throw new Error(JSON.stringify(roles.problems));
  const all = [...roles.value.values()];
  const install = { alias: [], wantedBy: ['multi-user.target'], requiredBy: [], also: [] };
  const image = await store.addImage({
    format: 1,
    name: 'universal',
    architecture: 'amd64',
    suite: 'trixie',
    kernelVersion: '6.12',
    kernel: await add('kernel'),
    initramfs: await add('initramfs'),
    root: await add('root'),
    loaders,
    packages: Object.fromEntries(all.flatMap((role) => role.packages.map((p) => [p, '1']))),
    units: Object.fromEntries(
      [...all.flatMap((role) => role.units), 'getty@.service'].map((unit) => [unit, install]),
    ),
    users: {},
    groups: {},
  });
  await store.tag(image.digest, 'published');
}

/** The body behind a name as a client takes it: a URL by HTTP, anything else by TFTP. */
async function get(name: string): Promise<Buffer> {
  if (!name.startsWith('http://')) {
    const file = join(folder, 'fetched');
    await runProgram('curl', ['-sS', '-o', file, `tftp://${address}:${tftpPort}/${name}`], {
      timeout: 10_000,
    });
    return readFile(file);
  }
  const answer = await fetch(name, { redirect: 'error' });
  expect(answer.status, name).toBe(200);
  return Buffer.from(await answer.arrayBuffer());
}

/** iPXE puts its own settings in. */
function expand(name: string): string {
  return name.replaceAll(/\$\{[^}]+\}/g, '');
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, address, () => {
      const bound = probe.address();
      probe.close(() => resolve(typeof bound === 'object' ? (bound?.port ?? 0) : 0));
    });
  });
}
