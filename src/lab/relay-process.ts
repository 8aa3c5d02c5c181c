import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';

/**
 * Runs inside the lab's network namespace and holds it open: `node relay-process.ts <socket>`.
 * An HTTP proxy for CONNECT (RFC 9110 §9.3.6) on a unix socket: network namespaces share the file
 * system, so the host reaches guests through it without a route or an address of its own.
 */
const [socketPath = ''] = process.argv.slice(2);

const server = createServer((_request, response) => {
  response.writeHead(405, { allow: 'CONNECT' }).end();
});
server.on('connect', (request, client, head) => {
  const [host = '', port = ''] = (request.url ?? '').split(':');
  const guest = connect({ host, port: Number(port), timeout: 5_000, allowHalfOpen: true });
  const refuse = (reason: string) => {
    client.end(`HTTP/1.1 502 ${reason}\r\ncontent-length: 0\r\n\r\n`);
    guest.destroy();
  };
  guest.once('timeout', () => refuse('ETIMEDOUT'));
  guest.once('error', (error: NodeJS.ErrnoException) => refuse(error.code ?? 'EIO'));
  guest.once('connect', () => {
    guest.setTimeout(0);
    guest.removeAllListeners('error');
    client.write('HTTP/1.1 200 OK\r\n\r\n');
    if (head.length > 0) guest.write(head);
    guest.pipe(client);
    client.pipe(guest);
    guest.on('error', () => client.destroy());
    guest.on('close', () => (client as Socket).destroySoon());
  });
  client.on('error', () => guest.destroy());
  client.on('close', () => guest.destroy());
});
rmSync(socketPath, { force: true });
server.listen(socketPath, () => process.stdout.write('relay: listening\n'));
