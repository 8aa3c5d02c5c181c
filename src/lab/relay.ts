import { request } from 'node:http';
import { createServer, type Socket } from 'node:net';

/** What became of an attempt to reach a guest's TCP port. */
export type Reached =
  | { readonly kind: 'open'; readonly socket: Socket }
  | { readonly kind: 'closed'; readonly reason: string };

/**
 * Connects to a TCP port inside the lab through the relay's unix socket.
 * `closed` carries the errno name inside the lab: ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT.
 */
export function connectThroughRelay(
  relaySocket: string,
  address: string,
  port: number,
): Promise<Reached> {
  return new Promise((resolve) => {
    const closed = (reason: string) => resolve({ kind: 'closed', reason });
    const ask = request({ socketPath: relaySocket, method: 'CONNECT', path: `${address}:${port}` });
    ask.once('connect', (response, socket: Socket, head) => {
      if (response.statusCode !== 200) {
        socket.destroy();
        return closed(response.statusMessage ?? '');
      }
      if (head.length > 0) socket.unshift(head);
      resolve({ kind: 'open', socket });
    });
    ask.once('response', (response) => closed(response.statusMessage ?? ''));
    ask.once('error', (error: NodeJS.ErrnoException) => closed(error.code ?? error.message));
    ask.end();
  });
}

/** A TCP port on the host's loopback. */
export interface Forward {
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * Listens on 127.0.0.1 and joins each connection to what `open` gives.
 * A port that is taken, or 0, becomes one that the kernel chooses; the result has the real one.
 */
export async function startForward(
  wantedPort: number,
  open: () => Promise<Reached>,
): Promise<Forward> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    sockets.add(client);
    client.on('close', () => sockets.delete(client));
    client.on('error', () => client.destroy());
    void open().then((reached) => {
      if (reached.kind === 'closed') return client.resetAndDestroy();
      const { socket } = reached;
      sockets.add(socket);
      socket.on('error', () => client.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        // Not destroy: what the guest said last may still be on its way to the client.
        client.destroySoon();
      });
      client.on('close', () => socket.destroy());
      client.pipe(socket);
      socket.pipe(client);
    });
  });
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject);
        resolve();
      });
    });
  await listen(wantedPort).catch(() => listen(0));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
