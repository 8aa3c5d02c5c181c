import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { seededRandom } from '../seeded-random.ts';

/** Chances between 0 and 1 per datagram, in each direction. */
export interface RelayFaults {
  readonly loss: number;
  readonly duplicates: number;
  /** Held back by up to 20 ms, so that later datagrams overtake it. */
  readonly reordering: number;
}

/** A relay on loopback before a TFTP server, which answers each request from a new port. */
export interface UdpRelay {
  readonly port: number;
  stop(): void;
}

/** Passes datagrams to and from `127.0.0.1:serverPort` with faults that are the same for the same seed and order. */
export async function startUdpRelay(
  serverPort: number,
  faults: RelayFaults,
  seed: number,
): Promise<UdpRelay> {
  const random = seededRandom(seed);
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  const listening = await open();
  /** The socket that stands for a client before the server, by the client's port. */
  const fronts = new Map<number, Promise<Socket>>();

  async function open(): Promise<Socket> {
    const socket = createSocket('udp4');
    sockets.add(socket);
    // A closed port of either side is that side's affair.
    socket.on('error', () => {});
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return socket;
  }

  function pass(bytes: Buffer, socket: Socket, port: number): void {
    const copied = random() < faults.duplicates && !isOptionAcknowledgement(bytes);
    const copies = copied ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (random() < faults.loss) continue;
      const delay = random() < faults.reordering ? random() * 20 : 0;
      const timer = setTimeout(() => {
        timers.delete(timer);
        if (sockets.has(socket)) socket.send(bytes, port, '127.0.0.1', () => {});
      }, delay);
      timers.add(timer);
    }
  }

  /** Each port of the server that answers this client gets a port of its own before the client. */
  async function openFront(clientPort: number): Promise<Socket> {
    const front = await open();
    const backs = new Map<number, Promise<Socket>>();
    front.on('message', async (bytes, from) => {
      let back = backs.get(from.port);
      if (!back) {
        back = from.port === serverPort ? Promise.resolve(listening) : openBack(front, from.port);
        backs.set(from.port, back);
      }
      pass(bytes, await back, clientPort);
    });
    return front;
  }

  async function openBack(front: Socket, transferPort: number): Promise<Socket> {
    const back = await open();
    back.on('message', (bytes) => pass(bytes, front, transferPort));
    return back;
  }

  listening.on('message', async (bytes, from) => {
    const front = fronts.get(from.port) ?? openFront(from.port);
    fronts.set(from.port, front);
    pass(bytes, await front, serverPort);
  });

  return {
    port: listening.address().port,
    stop: () => {
      for (const timer of timers) clearTimeout(timer);
      for (const socket of sockets) socket.close();
      sockets.clear();
    },
  };
}

/** atftp and the `tftp` package abort at a second one, which no server can help. */
function isOptionAcknowledgement(bytes: Buffer): boolean {
  return bytes.length > 1 && bytes.readUInt16BE(0) === 6;
}
