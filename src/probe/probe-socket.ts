import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { AppError } from '../errors.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import { lowPortHint } from '../system/low-ports.ts';
import { readServerAnswer, type ServerAnswer } from './simulated-client.ts';

/** An answer with who sent it. */
export interface Heard {
  readonly answer: ServerAnswer;
  readonly bytes: Uint8Array;
  /** Source address of the datagram. */
  readonly from: string;
}

/** The ear and the mouth of a simulated machine. */
export interface ProbeSocket {
  /** To everyone on the segment, or to one address. */
  send(bytes: Uint8Array, to: { readonly address: string; readonly port: number }): Promise<void>;
  /** Everything heard so far, oldest first. */
  readonly heard: readonly Heard[];
  close(): Promise<void>;
}

/** Heard at most; a flood of answers fills no memory. */
const mostHeard = 1000;

/**
 * Opens port 68 as a client on the segment of `own`, an address of this machine, or port 67 as a relay there.
 * What is bound to the address sends by its interface; what is bound to every address hears the broadcasts.
 * Both share the port with a DHCP client that this machine may run (SO_REUSEADDR).
 */
export async function openProbeSocket(own: Ipv4, as: 'client' | 'relay'): Promise<ProbeSocket> {
  const port = as === 'client' ? 68 : 67;
  const heard: Heard[] = [];
  const sockets: Socket[] = [];
  const addresses = as === 'client' ? [own, '0.0.0.0'] : [own];
  try {
    for (const address of addresses) sockets.push(await bind(address, port));
  } catch (error) {
    await Promise.all(sockets.map(close));
    throw error;
  }
  const [mouth] = sockets;
  for (const socket of sockets) {
    socket.on('message', (bytes, { address }) => {
      const answer = readServerAnswer(bytes);
      if (answer && heard.length < mostHeard) heard.push({ answer, bytes, from: address });
    });
    socket.on('error', () => {});
  }
  mouth?.setBroadcast(true);
  return {
    heard,
    send: (bytes, to) =>
      new Promise((resolve, reject) => {
        mouth?.send(bytes, to.port, to.address, (error) => (error ? reject(error) : resolve()));
      }),
    async close() {
      await Promise.all(sockets.map(close));
    },
  };
}

async function bind(address: string, port: number): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  try {
    socket.bind({ address, port });
    await once(socket, 'listening');
    return socket;
  } catch (error) {
    socket.close();
    const { code = '' } = error as NodeJS.ErrnoException;
    throw new AppError(
      'probe-cannot-listen',
      `the probe cannot listen on ${address} port ${port}: ${code}`,
      code === 'EADDRINUSE'
        ? `another program holds it: ss -ulnp 'sport = :${port}' shows which`
        : code === 'EADDRNOTAVAIL'
          ? 'give an address of this machine with --from'
          : lowPortHint,
      { cause: error },
    );
  }
}

async function close(socket: Socket): Promise<void> {
  await new Promise<void>((done) => {
    socket.close(() => done());
  });
}
