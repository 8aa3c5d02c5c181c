import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadFleet } from '../../../src/roles/load-fleet.ts';

const good = join(import.meta.dirname, '../../lab/sites/storage');

let site: string;
beforeEach(async () => {
  site = await mkdtemp(join(tmpdir(), 'rolecall-volumes-'));
  await cp(good, site, { recursive: true });
});
afterEach(async () => {
  await rm(site, { recursive: true });
});

type Edit = readonly [file: string, from: string, to: string];

/** What is said of the site after the edits: `path message | hint`. */
async function said(...edits: readonly Edit[]): Promise<readonly string[]> {
  for (const [file, from, to] of edits) {
    const path = join(site, file);
    const text = await readFile(path, 'utf8');
    expect(text).toContain(from);
    await writeFile(path, text.replace(from, to));
  }
  const fleet = await loadFleet(site);
  return fleet.ok ? [] : fleet.problems.map((p) => `${p.path} ${p.message} | ${p.hint}`);
}

const outside: Edit = [
  'site.yaml',
  'networks:\n',
  'networks:\n  outside: { subnet: 203.0.113.0/24, server: 203.0.113.2, dhcp: server }\n',
];
const webOutside = (gateway: string): Edit => [
  'nodes/web1.yaml',
  'mac: 52:54:00:77:00:21\naddress: 10.77.0.21',
  `links: { outside: { nic: 52:54:00:77:00:21, address: 203.0.113.21${gateway} } }`,
];

test('nothing is wrong with a pair and its client', async () => {
  expect(await said()).toEqual([]);
});

test('a holder without the role: its disk would lie idle', async () => {
  expect(await said(['nodes/nfs2.yaml', 'role: storage', 'role: logs'])).toContain(
    'volumes.www.nodes nfs2 shall hold the volume www, but has not the role storage: nothing on it would use its disk | role: storage in nodes/nfs2.yaml, or another node in nodes:',
  );
});

test('a holder without the link of the replication', async () => {
  const cut = '  storage: { nic: 52:54:00:78:00:32, address: 10.78.0.32 }\n';
  expect(await said(['nodes/nfs2.yaml', cut, ''])).toEqual([
    'volumes.www.replication node nfs2 has no link on storage, which carries the replication | add storage: to links in nodes/nfs2.yaml',
  ]);
});

test('a holder without a link to the network of the VIP', async () => {
  const vip: Edit = ['site.yaml', 'vip: { boot: 10.77.0.110 }', 'vip: { outside: 203.0.113.110 }'];
  expect(await said(outside, vip, webOutside(''))).toEqual(
    ['nfs1', 'nfs2'].map(
      (node) =>
        `volumes.www.vip.outside ${node} holds the volume www, whose VIP is on outside, and has no link there | add outside: to links in nodes/${node}.yaml`,
    ),
  );
});

test('a client that no route leads to the VIP, until it has a gateway', async () => {
  expect(await said(outside, webOutside(''))).toEqual([
    'volumes.www.clients web1 is a client of the volume www, and no route leads from it to boot | add boot: to links in nodes/web1.yaml, or a vip: on one of its networks',
  ]);
  const gateway: Edit = [
    'site.yaml',
    'server: 203.0.113.2,',
    'server: 203.0.113.2, gateway: 203.0.113.1,',
  ];
  expect(await said(gateway, ['nodes/web1.yaml', '113.21', '113.21, gateway: true'])).toEqual([]);
});

test('a holder that is a client: where it leads it is refused, as it asks from the VIP', async () => {
  const both: Edit = ['nodes/nfs1.yaml', 'role: storage', 'role: [storage, web]'];
  expect(await said(both)).toEqual([
    'volumes.www.clients nfs1 holds the volume www and is a client of it: while it leads, it asks itself from the VIP, which is no client, and is refused | other clients, or another node in nodes:',
  ]);
});

test('two volumes at one place of a client', async () => {
  const more: Edit = [
    'site.yaml',
    'volumes:\n',
    'volumes:\n  more: { nodes: [nfs2, nfs1], device: /dev/vdb, replication: storage, vip: { boot: 10.77.0.111 }, clients: [web1], at: /srv/www }\n',
  ];
  expect(await said(more)).toEqual([
    'volumes.www.at web1 would mount the volumes more and www at one place, /srv/www | another at: for one of them, or other clients',
  ]);
});
