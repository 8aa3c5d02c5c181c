import { startDhcpServer } from '../../src/pxe/dhcp-server.ts';
import { openState } from '../../src/state/state.ts';
import { aDhcpSite, serverAddress } from '../unit/dhcp/a-dhcp-site.ts';

// Run in the server's network namespace: `node dhcp-server-process.ts STATE`. Prints one JSON line per event.
const state = openState(process.argv[2] ?? '');
const print = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const site = aDhcpSite();
const server = await startDhcpServer({
  serverAddress,
  httpServer: `http://${serverAddress}`,
  current: () => ({ site }),
  leases: state.leases,
  loaderFetchedAt: () => undefined,
  onEvent: print,
  log: (line) => print({ kind: 'log', line }),
});
print({ kind: 'listening', ...server.ports });
process.once('SIGTERM', async () => {
  await server.stop();
  state.close();
});
