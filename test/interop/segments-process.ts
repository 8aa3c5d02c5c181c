import { startDhcpServer } from '../../src/pxe/dhcp-server.ts';
import { withOpenSockets } from '../../src/server/open-sockets.ts';
import { segmentsOf, servedNetworks } from '../../src/server/start-checks.ts';
import { inheritedSockets, parseListenFds } from '../../src/system/inherited-sockets.ts';
import { memoryLeases } from '../memory-leases.ts';
import { aDhcpSite, ip } from '../unit/dhcp/a-dhcp-site.ts';

// Run in the server's network namespace: answers on the networks boot and rack2 with a socket for each
// interface. Prints one JSON line per event.
const site = aDhcpSite({ boot: { server: ip('10.77.0.1') } });
const fds = parseListenFds(process.env, process.pid);
if (!fds) {
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const command = await withOpenSockets(site, { dhcp: 67, http: 80 }, self);
  if (!command) throw new Error('no interface has an address of the site');
  process.execve?.(command[0] ?? '', command, process.env);
}
const print = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const server = await startDhcpServer({
  segments: await segmentsOf(
    servedNetworks(site),
    (address) => `http://${address}`,
    fds && inheritedSockets(fds, 67),
  ),
  current: () => ({ site }),
  leases: memoryLeases(),
  loaderFetchedAt: () => undefined,
  onEvent: print,
  log: (line) => print({ kind: 'log', line }),
});
print({ kind: 'listening', sockets: fds?.names });
process.once('SIGTERM', () => void server.stop());
