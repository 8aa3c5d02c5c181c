import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  autoexecName,
  grubStartNames,
  loaderFolder,
  loaderPath,
} from '../../src/boot/boot-paths.ts';
import type { Ipv4 } from '../../src/net/ipv4.ts';
import type { MacAddress } from '../../src/net/mac.ts';
import { bootAnswer } from '../../src/pxe/boot-options.ts';
import type { DhcpClient } from '../../src/pxe/identify-client.ts';
import { architectures, chooseLoader } from '../../src/pxe/loader-by-client.ts';
import { type RunningServer, startServer } from '../../src/server/start-server.ts';
import type { Site, SiteNode } from '../../src/site/site.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { contentOf, storeImage } from '../stored-image.ts';

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
const wishes = [false, true].flatMap((secureBoot) =>
  ([undefined, 'native', 'firmware'] as const).map((flavour) => ({ secureBoot, flavour })),
);
const offers = Object.entries(architectures).flatMap(([arch, { name, firmware }]) =>
  ways.flatMap((via) =>
    wishes.flatMap((wish) =>
      (['server', 'proxy'] as const).map((as) => ({
        ...{ arch: Number(arch), name, firmware, via, wish, as },
      })),
    ),
  ),
);

describe('what DHCP names', () => {
  test.each(offers)('$name ($arch) by $via from a $as, $wish', async (offer) => {
    const { arch, firmware, via, as, wish } = offer;
    const node = { loader: wish.flavour } as SiteNode;
    const facts = {
      ...{ serverAddress: address, httpServer: http, isOurLoader: false },
      site: { secureBoot: wish.secureBoot } as Site,
      machine: { kind: 'node', node, by: 'mac' } as const,
    };
    const answer = bootAnswer({ arch, firmware, via, mac } as DhcpClient, facts, as);
    if (answer.kind !== 'boot') {
      expect(architectures[arch]?.loaders, 'a refusal is for want of a loader').toBeUndefined();
      return;
    }
    const body = await once(expand(answer.file));
    if (via === 'rolecall') expect(body.toString()).toMatch(/^#!ipxe\n/);
    else expect(body.toString()).toBe(contentOf(chooseLoader(arch, wish) ?? ''));
  });
});

describe('what loaders look for by themselves', () => {
  test.each(['', loaderFolder])('the first script of UEFI builds of iPXE, at "%s"', async (at) => {
    const name = at === '' ? autoexecName : `${http}/${at}/${autoexecName}`;
    expect((await get(name)).toString()).toMatch(/^#!ipxe\n/);
  });

  test.each(['grubx64.efi', 'grubaa64.efi'])("shim's second stage %s", async (name) => {
    expect((await get(loaderPath(name))).toString()).toBe(contentOf(name));
    expect((await get(`${http}/${loaderPath(name)}`)).toString()).toBe(contentOf(name));
  });

  test.each(grubStartNames)('the first configuration of GRUB, %s', async (name) => {
    const start = (await get(name)).toString();
    expect((await get(`${http}/${name}`)).toString()).toBe(start);
    expect(grubUrls(start)).toHaveLength(1);
  });
});

describe("what a machine's GRUB configuration names", () => {
  const config = async (who: string, arch = 'x86_64') => {
    const [url = ''] = grubUrls((await get('grub/grub.cfg')).toString());
    const given = { net_default_mac: who, uuid: '', serial: '', grub_cpu: arch };
    const asked = url.replaceAll(/\$(\w+)/g, (_, name: keyof typeof given) => given[name]);
    return (await get(asked)).toString();
  };

  test('kernel and initramfs', async () => {
    const urls = grubUrls(await config(mac));
    const bodies = await Promise.all(urls.map(async (url) => (await get(url)).toString()));
    expect(bodies).toEqual([contentOf('kernel'), contentOf('initramfs')]);
  });

  test('the same boot set as its iPXE script', async () => {
    const script = (await get(`${http}/boot/script?mac=${mac}&uuid=&serial=`)).toString();
    const set = /rolecall\.set=[0-9a-f]+/.exec(script)?.[0];
    expect(await config(mac)).toContain(`'${set}'`);
  });

  test('nothing for a machine of another architecture than the images have, and why', async () => {
    const refusal = await config(mac, 'arm64');
    expect(grubUrls(refusal)).toEqual([]);
    expect(refusal).toMatch(/^echo 'rolecall: .*arm64/);
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

/** As `get`, but hundreds of offers name a dozen files. */
function once(name: string): Promise<Buffer> {
  const body = fetched.get(name) ?? get(name);
  fetched.set(name, body);
  return body;
}
const fetched = new Map<string, Promise<Buffer>>();

/** iPXE puts its own settings in. */
function expand(name: string): string {
  return name.replaceAll(/\$\{[^}]+\}/g, '');
}

/** What GRUB calls `(http,host)/path`, as URLs. */
function grubUrls(config: string): readonly string[] {
  return [...config.matchAll(/\(http,([^)]+)\)([^"' ]+)/g)].map(
    ([, host, path]) => `http://${host}${path}`,
  );
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, address, () => {
      const bound = probe.address();
      probe.close(() => resolve(typeof bound === 'object' ? (bound?.port ?? 0) : 0));
    });
  });
}
