import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { AppError } from '../errors.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import { lowPortHint } from '../system/low-ports.ts';

/** The bytes a socket keeps while the server writes leases: machines of a rack that get power together ask together. */
const receiveBuffer = 4 * 1024 * 1024;

/** A UDP socket at this address; fails with an AppError that says what to do. */
export async function bindDhcpSocket(address: string, port: number): Promise<Socket> {
  const socket = newSocket();
  try {
    // With nothing to look up it listens before bind() returns.
    const listening = once(socket, 'listening');
    socket.bind({ address, port, exclusive: true });
    await listening;
    return prepare(socket);
  } catch (error) {
    socket.close();
    throw bindFailed(address, port, error);
  }
}

/** The socket that this process was started with as `fd`, bound to an interface and 0.0.0.0:67. */
export async function adoptDhcpSocket(fd: number): Promise<Socket> {
  const socket = newSocket();
  const listening = once(socket, 'listening');
  socket.bind({ fd, exclusive: true });
  await listening;
  return prepare(socket);
}

/** Resolves when it is closed. */
export async function closeSocket(socket: Socket): Promise<void> {
  await new Promise<void>((done) => {
    socket.close(() => done());
  });
}

function newSocket(): Socket {
  return createSocket({
    type: 'udp4',
    reuseAddr: true,
    // Every destination is an address already; Node would take each through the resolver's threads.
    lookup: (address, _options, found) => found(null, address, 4),
  });
}

/** Without privileges the kernel gives as much as net.core.rmem_max says, and that is no error. */
function prepare(socket: Socket): Socket {
  socket.setRecvBufferSize(receiveBuffer);
  return socket;
}

const bindHints: Readonly<Record<string, string>> = {
  EACCES: lowPortHint,
  EADDRINUSE: 'another DHCP server runs on this machine; find it with: ss -ulnp sport = 67',
  EADDRNOTAVAIL: 'give the address to the interface on the boot segment, then start again',
};

function bindFailed(address: string, port: number, error: unknown): AppError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return new AppError(
    'dhcp-bind',
    `DHCP cannot listen on ${address} port ${port}: ${error instanceof Error ? error.message : error}`,
    bindHints[code] ?? '',
    { cause: error },
  );
}

/** An end of the DHCP server on one network. */
export interface DhcpSegment {
  /** The boot server's own address there; it names the network of site.yaml. */
  readonly serverAddress: Ipv4;
  /** `http://10.77.0.1`, with a port where it is not 80. */
  readonly httpServer: string;
  /** A socket on 0.0.0.0:67 that hears the interface of that network alone; two networks on one interface share it. */
  readonly broadcasts?: number;
}
