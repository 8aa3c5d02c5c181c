import { startDhcpServer } from '../../src/pxe/dhcp-server.ts';
import { whoHas } from '../../src/pxe/who-has.ts';
import { openState } from '../../src/state/state.ts';
import { aDhcpSite, aNode, ip, link, mac, serverAddress } from '../unit/dhcp/a-dhcp-site.ts';
import type { ServerWishes } from './dhcp-segment.ts';

// Run in the server's network namespace: `node dhcp-server-process.ts STATE [WISHES]`. Prints one JSON line per event.
const [stateDir = '', said = '{}'] = process.argv.slice(2);
const { pool, leaseSeconds } = JSON.parse(said) as ServerWishes;
const state = openState(stateDir);
const print = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const aSite = aDhcpSite({
  ...(pool ? { boot: { pool: { first: ip(pool.first), last: ip(pool.last) } } } : {}),
  nodes: [
    aNode('web2', [link('rack2', '10.78.0.21', [mac('52:54:00:00:00:22')], true)]),
    // Known by the place where it stands.
    aNode('edge1', [link('rack2', '10.78.0.31', [], true)], { macs: [], port: 'port7' }),
  ],
});
const rack2 = aSite.networks.get('rack2');
if (!rack2) throw new Error('the test itself is wrong');
const wide = { first: ip('10.78.0.100'), last: ip('10.78.0.249') };
const site = { ...aSite, networks: new Map(aSite.networks).set('rack2', { ...rack2, pool: wide }) };
const server = await startDhcpServer({
  segments: [{ serverAddress, httpServer: `http://${serverAddress}` }],
  current: () => ({ site }),
  leases: state.leases,
  whoHas,
  loaderFetchedAt: () => undefined,
  onEvent: print,
  onPacket: ({ direction, bytes, local, remote }) =>
    print({ kind: 'packet', direction, local, remote, hex: Buffer.from(bytes).toString('hex') }),
  log: (line) => print({ kind: 'log', line }),
  ...(leaseSeconds === undefined ? {} : { leaseSeconds }),
});
print({ kind: 'listening', ...server.ports });
process.once('SIGTERM', async () => {
  await server.stop();
  state.close();
});
