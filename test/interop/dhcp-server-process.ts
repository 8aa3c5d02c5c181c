import { startDhcpServer } from '../../src/pxe/dhcp-server.ts';
import { openState } from '../../src/state/state.ts';
import { aDhcpSite, ip, serverAddress } from '../unit/dhcp/a-dhcp-site.ts';
import type { ServerWishes } from './dhcp-segment.ts';

// Run in the server's network namespace: `node dhcp-server-process.ts STATE [WISHES]`. Prints one JSON line per event.
const [stateDir = '', said = '{}'] = process.argv.slice(2);
const { pool, leaseSeconds } = JSON.parse(said) as ServerWishes;
const state = openState(stateDir);
const print = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const site = aDhcpSite(
  pool ? { boot: { pool: { first: ip(pool.first), last: ip(pool.last) } } } : {},
);
const server = await startDhcpServer({
  serverAddress,
  httpServer: `http://${serverAddress}`,
  current: () => ({ site }),
  leases: state.leases,
  loaderFetchedAt: () => undefined,
  onEvent: print,
  log: (line) => print({ kind: 'log', line }),
  ...(leaseSeconds === undefined ? {} : { leaseSeconds }),
});
print({ kind: 'listening', ...server.ports });
process.once('SIGTERM', async () => {
  await server.stop();
  state.close();
});
