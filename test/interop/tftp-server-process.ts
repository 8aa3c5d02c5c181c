import { parseIpv4 } from '../../src/net/ipv4.ts';
import { startTftpServer } from '../../src/pxe/tftp-server.ts';
import { openSeededFile } from './seeded-file.ts';

// Run in the server's network namespace: `node tftp-server-process.ts ADDRESS PORT [single-port]`. Prints one JSON line per event.
const address = parseIpv4(process.argv[2] ?? '');
if (!address) throw new Error('usage: tftp-server-process.ts ADDRESS PORT');
const print = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const server = await startTftpServer({
  address,
  port: Number(process.argv[3] ?? 69),
  open: async (name) => openSeededFile(name),
  onEvent: print,
  singlePort: () => process.argv[4] === 'single-port',
});
print({ kind: 'listening', port: server.port });
process.once('SIGTERM', () => void server.stop(0));
