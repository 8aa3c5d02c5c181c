import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { adaptSite } from '../../../src/rehearsal/adapt-site.ts';
import { loadSite } from '../../../src/site/load-site.ts';

const folder = mkdtempSync(join(tmpdir(), 'rc-adapt-'));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('a site of real machines becomes one that the lab can play, and every difference is said', async () => {
  mkdirSync(join(folder, 'nodes'), { recursive: true });
  writeFileSync(
    join(folder, 'site.yaml'),
    `site: tokyo # kept
domain: tokyo.example
admins: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJDqR3W2M8BGYYGlFiRkaqiJ2vJ9QmL0CE9OF5yH13/3 nobody@lab.example]
networks:
  boot: {subnet: 10.77.0.0/24, server: 10.77.0.1, gateway: 10.77.0.1, dhcp: proxy}
  rack2: {subnet: 10.78.0.0/24, gateway: 10.78.0.1, relay: boot, dhcp: proxy}
  outside: {subnet: 203.0.113.0/24}
unknown: spare
volumes:
  www: {nodes: [nfs1, nfs2], device: /dev/disk/by-id/wwn-0x5000, replication: rack2, vip: {boot: 10.77.0.110}, clients: {role: storage}, at: /srv/www}
`,
  );
  const node = (n: number, extra: string) =>
    writeFileSync(
      join(folder, `nodes/nfs${n}.yaml`),
      `role: storage
links:
  boot: {nic: 52:54:00:00:00:0${n}, address: 10.77.0.1${n}, gateway: true}
  rack2: {nic: 52:54:00:00:00:1${n}, address: 10.78.0.1${n}}
${extra}`,
    );
  node(1, 'console: ttyS1,115200 # the BMC\n');
  node(2, '');
  const byPlace = "id: {port: 'sw1/7'}\nrole: storage\n";
  writeFileSync(join(folder, 'nodes/place1.yaml'), `${byPlace}address: 10.77.0.21\n`);
  writeFileSync(
    join(folder, 'nodes/place2.yaml'),
    `${byPlace.replace('7', '8')}links:
  boot: {address: 10.77.0.22}
  outside: {address: 203.0.113.22, path: 'pci-0000:02:00.1'}
`,
  );

  const before = await loadSite(folder);
  if (!before.ok) throw new Error(JSON.stringify(before.problems));
  expect(await adaptSite(folder)).toEqual([
    'boot: no other DHCP server is in the lab; rolecall gives the addresses',
    'rack2: no other DHCP server is in the lab; rolecall gives the addresses',
    'rack2: no relay is in the lab; the boot server is on the network itself',
    'volume www: /dev/disk/by-id/virtio-www stands for /dev/disk/by-id/wwn-0x5000',
    'place1: a MAC stands for what its role file knows its cards by',
    'place2: a MAC stands for what its role file knows its cards by',
    'consoles: the first serial port, for all machines',
  ]);
  const after = await loadSite(folder);
  if (!after.ok) throw new Error(JSON.stringify(after.problems));
  const { networks, volumes, nodes, unknown } = after.value;
  expect([...networks.values()].map((n) => [n.dhcp, n.server, n.relay])).toEqual([
    ['server', '10.77.0.1', undefined],
    ['server', '10.78.0.1', undefined],
    ['off', undefined, undefined],
  ]);
  expect(volumes.get('www')?.device).toBe('/dev/disk/by-id/virtio-www');
  expect(nodes.get('nfs1')?.console.device).toBe('ttyS0');
  expect(unknown).toBe('ignore');
  // No switch of the lab says its ports.
  const cards = (name: string) => nodes.get(name)?.links.map((link) => link.macs.length);
  expect([cards('place1'), cards('place2')]).toEqual([[1], [1, 1]]);
  expect(nodes.get('place2')?.links[1]?.path).toBeUndefined();
  expect(readFileSync(join(folder, 'site.yaml'), 'utf8')).toContain('# kept');
  expect(await adaptSite(folder)).toEqual([]);
});
