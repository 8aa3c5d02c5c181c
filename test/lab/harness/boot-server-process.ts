import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startServer } from '../../../src/server/start-server.ts';
import { storeImage } from '../../stored-image.ts';

// Run in the server's network namespace: `node boot-server-process.ts FOLDER DHCP`. Makes an image of a few bytes
// there and a site with that DHCP mode (`as-is` leaves the site), serves it on the real ports, and prints its log.
const [folder = '', dhcp = 'server'] = process.argv.slice(2);
const [site, state] = [join(folder, 'site'), join(folder, 'state')];

if (dhcp !== 'as-is') writeSite();
await storeImage(state);
const log = (line: string) => void process.stdout.write(`${line}\n`);
const server = await startServer({ siteDir: site, stateDir: state, version: '0', log });
log(`listening: ${server.listens.join(', ')}`);
process.once('SIGTERM', () => void server.stop());

function writeSite(): void {
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
}
