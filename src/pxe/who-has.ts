import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import { neighbourOf } from '../system/neighbours.ts';

/** Milliseconds: a host on the segment answers ARP within one, a busy one within some more. */
const patience = 400;
const lookInterval = 40;

/** RFC 863; whoever does not serve it says so by ICMP. */
const discardPort = 9;

/**
 * Which machine on the segment of `from`, an address of this one, uses the address now (RFC 2131 §3.1: a server
 * should probe before it offers); undefined where none does within 400 ms.
 *
 * One datagram makes the kernel ask by ARP, which no host's firewall keeps from answering, and needs no privilege.
 * Where the kernel knew a hardware address before, that may be of a machine long gone: then only an answer of
 * the host itself counts.
 */
export async function whoHas(address: Ipv4, from: Ipv4): Promise<MacAddress | undefined> {
  const before = await neighbourOf(address);
  const socket = createSocket('udp4');
  let hasAnswered = false;
  socket.on('message', () => {
    hasAnswered = true;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    hasAnswered ||= error.code === 'ECONNREFUSED';
  });
  try {
    await ask(socket, address, from);
    for (let waited = 0; waited < patience; waited += lookInterval) {
      await delay(lookInterval);
      const now = await neighbourOf(address);
      if (now !== undefined && (before === undefined || hasAnswered)) return now;
    }
    return undefined;
  } catch {
    // No route to it: nobody there can be asked.
    return undefined;
  } finally {
    socket.close();
  }
}

async function ask(socket: Socket, address: Ipv4, from: Ipv4): Promise<void> {
  socket.bind({ address: from, port: 0 });
  await once(socket, 'listening');
  socket.connect(discardPort, address);
  await once(socket, 'connect');
  socket.send(Uint8Array.of(0));
}
