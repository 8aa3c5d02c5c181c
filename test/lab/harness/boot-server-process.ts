import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openImageStore } from '../../../src/images/image-store.ts';
import { loadRoles } from '../../../src/roles/load-roles.ts';
import { startServer } from '../../../src/server/start-server.ts';

// Run in the server's network namespace: `node boot-server-process.ts FOLDER DHCP`, DHCP server or proxy.
// Makes a site and an image of a few bytes there, serves it on the real ports, and prints its log.
const [folder = '', dhcp = 'server'] = process.argv.slice(2);
const [site, state] = [join(folder, 'site'), join(folder, 'state')];
const loaders = [
  ...['undionly.kpxe', 'ipxe.pxe', 'ipxe.efi', 'snponly.efi', 'ipxe-arm64.efi'],
  ...['shimx64.efi', 'grubx64.efi', 'shimaa64.efi', 'grubaa64.efi'],
];

mkdirSync(join(site, 'nodes'), { recursive: true });
writeFileSync(
  join(site, 'site.yaml'),
  `site: probed
domain: probed.example
admins: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJDqR3W2M8BGYYGlFiRkaqiJ2vJ9QmL0CE9OF5yH13/3 test]
networks:
  boot: {subnet: 10.77.0.0/24, server: 10.77.0.1, dhcp: ${dhcp}${dhcp === 'server' ? ', pool: 10.77.0.200-10.77.0.249' : ''}}
`,
);
writeFileSync(
  join(site, 'nodes/web1.yaml'),
  'mac: 52:54:00:00:00:11\naddress: 10.77.0.11\nrole: web\n',
);
await storeImage();
const log = (line: string) => void process.stdout.write(`${line}\n`);
const server = await startServer({ siteDir: site, stateDir: state, version: '0', log });
log(`listening: ${server.listens.join(', ')}`);
process.once('SIGTERM', () => void server.stop());

async function storeImage(): Promise<void> {
  const store = openImageStore(state);
  const add = (part: string) => {
    const file = join(folder, `part-${part}`);
    writeFileSync(file, `the bytes of ${part}\n`.repeat(1000));
    return store.addBlob(file);
  };
  const roles = await loadRoles(site);
  if (!roles.ok) throw new Error(JSON.stringify(roles.problems));
  const all = [...roles.value.values()];
  const install = { alias: [], wantedBy: ['multi-user.target'], requiredBy: [], also: [] };
  const units = [...all.flatMap((role) => role.units), 'getty@.service'];
  const named = await Promise.all(loaders.map(async (name) => [name, await add(name)] as const));
  const image = await store.addImage({
    ...{ format: 1, name: 'universal', architecture: 'amd64', suite: 'trixie' },
    ...{ kernelVersion: '6.12', users: {}, groups: {}, loaders: Object.fromEntries(named) },
    ...{ kernel: await add('kernel'), initramfs: await add('initramfs'), root: await add('root') },
    packages: Object.fromEntries(all.flatMap((role) => role.packages.map((p) => [p, '1']))),
    units: Object.fromEntries(units.map((unit) => [unit, install])),
  });
  await store.tag(image.digest, 'published');
}
