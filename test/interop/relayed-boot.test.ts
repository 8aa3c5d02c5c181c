import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { contentOf, storeImage } from '../stored-image.ts';
import { createDhcpSegment, type DhcpSegment } from './dhcp-segment.ts';
import type { Namespace } from './namespace.ts';
import { createRelayedSubnets, type RelayedSubnets } from './relayed-subnets.ts';
import { runUdhcpc } from './udhcpc.ts';

const rom = ['-V', 'PXEClient:Arch:00000:UNDI:002001', '-x', '0x5d:0000'];

const siteYaml = `site: relayed
domain: relayed.example
admins: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJDqR3W2M8BGYYGlFiRkaqiJ2vJ9QmL0CE9OF5yH13/3 test]
networks:
  boot: {subnet: 10.77.0.0/24, server: 10.77.0.1, gateway: 10.77.0.254, dhcp: server}
  rack2: {subnet: 10.78.0.0/24, gateway: 10.78.0.254, relay: boot, dhcp: server, pool: 10.78.0.100-10.78.0.149}
`;

let segment: DhcpSegment;
let behind: RelayedSubnets;

// The whole boot server, as an operator starts it, with a router and dhcrelay before it.
beforeAll(async () => {
  segment = await createDhcpSegment();
  const [site, state] = [join(segment.folder, 'site'), join(segment.folder, 'state')];
  await mkdir(join(site, 'nodes'), { recursive: true });
  await writeFile(join(site, 'site.yaml'), siteYaml);
  await writeFile(
    join(site, 'nodes/web2.yaml'),
    'mac: 52:54:00:00:00:22\naddress: 10.78.0.22\nrole: web\n',
  );
  await writeFile(
    join(site, 'nodes/edge1.yaml'),
    'id: {port: port7}\naddress: 10.78.0.31\nrole: web\n',
  );
  await storeImage(state);
  const main = join(import.meta.dirname, '../../src/main.ts');
  const args = [main, '--site', site, '--state', state, 'serve', '--no-admin'];
  const server = segment.server.start(process.execPath, args);
  await server.line('it serves', (line) => line.startsWith('rolecall serves site relayed'));
  behind = await createRelayedSubnets(segment, ['-a', '-m', 'discard']);
});
afterAll(async () => {
  await behind?.stop();
  await segment?.stop();
});

/** What a host has of a name that it was given: a URL, or a file of the TFTP server. */
async function fetched(host: Namespace, name: string): Promise<string> {
  const file = join(segment.folder, 'fetched');
  await host.run('curl', ['--silent', '--show-error', '--fail', '--output', file, name], {
    timeout: 20_000,
  });
  return readFile(file, 'utf8');
}

it.each([
  ['a node', '52:54:00:00:00:22', '10.78.0.22'],
  ['a spare', '52:54:00:00:00:99', '10.78.0.100'],
])('%s behind a relay has address, loader, script and kernel across the router', async (...row) => {
  const [, mac, address] = row;
  const host = await behind.addHost(mac);
  const firmware = await runUdhcpc(host, segment.folder, rom);
  expect(firmware).toMatchObject({ ip: address, router: '10.78.0.254', siaddr: '10.77.0.1' });
  await host.ip('route add default via 10.78.0.254');
  const loader = `tftp://${firmware.siaddr}/${firmware.boot_file}`;
  expect(await fetched(host, loader)).toBe(contentOf('undionly.kpxe'));

  const ours = await runUdhcpc(host, segment.folder, [...rom, '-x', '77:726f6c6563616c6c']);
  expect(ours.ip).toBe(address);
  const url = ours.boot_file?.replaceAll(/\$\{[^}]+\}/g, '') ?? '';
  expect(url).toMatch(/^http:\/\/10\.77\.0\.1\/boot\/script\?mac=/);
  const script = await fetched(host, url);
  expect(script).toMatch(/^#!ipxe\n/);
  const [kernel = ''] = /http:\S+images\S+/.exec(script) ?? [];
  expect(await fetched(host, kernel)).toBe(contentOf('kernel'));
});

it('a machine that is put on the port of another is its node, whose role file names no MAC', async () => {
  const host = behind.onPort7;
  const old = '52:54:00:00:07:11';
  await host.becomeMachine(old);
  expect((await runUdhcpc(host, segment.folder, rom)).ip).toBe('10.78.0.31');

  const mac = '52:54:00:00:07:12';
  await host.becomeMachine(mac);
  const loader = await runUdhcpc(host, segment.folder, [...rom, '-x', '77:726f6c6563616c6c']);
  expect(loader.ip).toBe('10.78.0.31');
  await host.ip('route add default via 10.78.0.254');
  await behind.router.ip('route replace 10.78.0.31/32 dev port7');
  const script = await fetched(host, loader.boot_file?.replaceAll(/\$\{[^}]+\}/g, '') ?? '');
  expect(script).toContain('rolecall.node=edge1 ');
  expect(script).toContain(`BOOTIF=01-${mac.replaceAll(':', '-')} `);
  expect(script).toContain('rolecall.address=10.78.0.31/24 ');
  // Linux asks without what firmware said of itself.
  expect((await runUdhcpc(host, segment.folder)).ip).toBe('10.78.0.31');
});
