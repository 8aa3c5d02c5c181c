import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import type { Problem } from '../errors.ts';
import { lowPortHint } from '../system/low-ports.ts';
import { problemOf } from './start-checks.ts';

/** Where the server is going to listen. */
export interface Listening {
  /** For an operator's eyes: `HTTP`, `DHCP`. */
  readonly what: string;
  readonly protocol: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
}

/** The places that cannot be had, each with why; nothing stays open. */
export async function checkPorts(places: readonly Listening[]): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  for (const place of places) {
    const code = place.port === 0 ? undefined : await tryToListen(place);
    if (code !== undefined) problems.push(describe(place, code));
  }
  return problems;
}

/** The errno name of the refusal; undefined where it can be had. */
function tryToListen({ protocol, address, port }: Listening): Promise<string | undefined> {
  return new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message);
    if (protocol === 'tcp') {
      const probe = createServer();
      probe.once('error', failed);
      probe.listen(port, address, () => probe.close(() => resolve(undefined)));
      return;
    }
    // As the DHCP server opens its own: a DHCP server bound to another interface is no hindrance.
    const probe = createSocket({ type: 'udp4', reuseAddr: true });
    probe.once('error', (error) => {
      probe.close();
      failed(error);
    });
    probe.bind(port, address, () => probe.close(() => resolve(undefined)));
  });
}

function describe({ what, protocol, address, port }: Listening, code: string): Problem {
  const where = `${what} cannot listen on ${address}:${port}/${protocol}`;
  const show = protocol === 'tcp' ? 'ss -ltnp' : 'ss -lunp';
  switch (code) {
    case 'EADDRINUSE':
      return problemOf(`${where}: another program does`, `stop that program; ${show} shows it`);
    case 'EACCES':
      return problemOf(`${where}: this user may not`, lowPortHint);
    case 'EADDRNOTAVAIL':
      return problemOf(`${where}: this machine does not have that address`, 'ip address show');
    default:
      return problemOf(`${where}: ${code}`, '');
  }
}
