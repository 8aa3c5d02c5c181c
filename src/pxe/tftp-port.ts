import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

/** Where a client's packets come from. */
export interface RemotePort {
  readonly address: string;
  readonly port: number;
}

/** The way of one transfer's packets: a port of its own, or the one on which the server listens. */
export interface TransferPort {
  /** This side's number. */
  readonly number: number;
  /** Whether the packet was handed to the kernel is not known: what is lost is sent again. */
  send(bytes: Uint8Array): void;
  /** As `send`, for the last packet of a flight: a port of its own then hears that the client's is closed. */
  sendLast(bytes: Uint8Array): void;
  /** Lets what was sent leave; nothing is sent after it. */
  close(): void;
}

export interface PortListener {
  receive(bytes: Uint8Array): void;
  /** ICMP says that nobody listens at the client's port. */
  refused(): void;
}

/** A port of its own at that address, as RFC 1350 §4 has it; fails where there is none. */
export async function openOwnPort(
  address: string,
  remote: RemotePort,
  listener: PortListener,
): Promise<TransferPort> {
  const socket = await connectedSocket(address, remote);
  let leaving = 0;
  let closing = false;
  // Other errors (no route, a filter) are lost datagrams: the timer deals with them.
  const failed = (error: NodeJS.ErrnoException | null) => {
    if (error?.code === 'ECONNREFUSED') listener.refused();
  };
  const left = (error: Error | null) => {
    leaving--;
    if (closing && leaving === 0) socket.close();
    else failed(error);
  };
  socket.on('error', failed);
  socket.on('message', (bytes) => listener.receive(bytes));
  return {
    number: socket.address().port,
    send: (bytes) => socket.send(bytes),
    // The kernel tells of a closed port once, to whichever call comes next: to this one, or to the next receive.
    sendLast: (bytes) => {
      leaving++;
      socket.send(bytes, left);
    },
    close: () => {
      closing = true;
      if (leaving === 0) socket.close();
    },
  };
}

/**
 * The port on which the server listens, for firewalls that let no other through. Its socket is not connected,
 * so that nobody tells of a closed port: a transfer whose client is gone ends by its timer.
 */
export function shareListeningPort(socket: Socket, { address, port }: RemotePort): TransferPort {
  const send = (bytes: Uint8Array) => socket.send(bytes, port, address);
  return { number: socket.address().port, send, sendLast: send, close: () => {} };
}

/** Connected, so that the kernel drops what others send to this port and reports a closed port. */
async function connectedSocket(address: string, remote: RemotePort): Promise<Socket> {
  const socket = createSocket('udp4');
  try {
    socket.bind({ address, port: 0 });
    await once(socket, 'listening');
    socket.connect(remote.port, remote.address);
    await once(socket, 'connect');
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}
