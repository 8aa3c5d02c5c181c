import { chmodSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { AppError } from '../errors.ts';
import { lowPortHint } from '../system/low-ports.ts';

export type ListenAddress =
  | {
      readonly host: string;
      readonly port: number;
      /** A socket that is bound there already. */
      readonly fd?: number;
    }
  | { readonly socketPath: string };

export interface HttpServer {
  /** The real port; 0 on a unix socket. */
  readonly port: number;
  /** Takes no new connection, lets answers under way end for up to `grace` milliseconds (5000), then cuts them. */
  stop(grace?: number): Promise<void>;
}

/**
 * Listens and resolves when it does. A unix socket is made for its owner alone; one that a killed server left is replaced.
 * Refuses an address in use or not ours with an AppError.
 */
export async function startHttp(app: RequestListener, listen: ListenAddress): Promise<HttpServer> {
  const answers = new Set<ServerResponse>();
  const server = createServer(
    { keepAliveTimeout: 15_000, requestTimeout: 60_000 },
    (request, response) => {
      answers.add(response);
      response.on('close', () => answers.delete(response));
      app(request, response);
    },
  );
  // A machine that was switched off during its download never closes its connection.
  server.setTimeout(120_000);
  server.on('connection', (socket) => {
    socket.setNoDelay(true);
  });
  if ('socketPath' in listen) await removeDeadSocket(listen.socketPath);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(listen, error)));
    if ('socketPath' in listen) server.listen(listen.socketPath, resolve);
    else if (listen.fd !== undefined) server.listen({ fd: listen.fd }, resolve);
    else server.listen(listen.port, listen.host, resolve);
  });
  if ('socketPath' in listen) chmodSync(listen.socketPath, 0o600);
  const address = server.address();
  return {
    port: typeof address === 'object' ? ((address as AddressInfo | null)?.port ?? 0) : 0,
    async stop(grace = 5000) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const response of answers) {
        // Its connection is idle a moment later, and a client may keep that for its next request.
        response.once('close', () => setImmediate(() => server.closeIdleConnections()));
        if (isEndless(response)) response.end();
      }
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), grace);
      await closed;
      clearTimeout(timer);
    },
  };
}

/** Server-sent events end only when somebody ends them. */
function isEndless(response: ServerResponse): boolean {
  return String(response.getHeader('Content-Type')).startsWith('text/event-stream');
}

/** A socket file on which nobody answers is what a killed server left. */
async function removeDeadSocket(path: string): Promise<void> {
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (!alive) rmSync(path, { force: true });
}

function cannotListen(listen: ListenAddress, error: NodeJS.ErrnoException): AppError {
  const where = 'socketPath' in listen ? listen.socketPath : `${listen.host}:${listen.port}`;
  const [why, hint] =
    error.code === 'EADDRINUSE'
      ? [
          'another program listens there',
          'stop that program (ss -ltnp shows it) or choose another address',
        ]
      : error.code === 'EACCES'
        ? ['this user may not', lowPortHint]
        : error.code === 'EADDRNOTAVAIL'
          ? ['this machine does not have that address', 'give an address that ip addr shows']
          : [error.message, ''];
  return new AppError('cannot-listen', `HTTP cannot listen on ${where}: ${why}`, hint, {
    cause: error,
  });
}
