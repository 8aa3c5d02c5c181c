import type { Socket } from 'node:dgram';
import type { Machine } from '../boot/identify-machine.ts';
import { AppError } from '../errors.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import { bootLink, type Site } from '../site/site.ts';
import { adoptDhcpSocket, bindDhcpSocket, closeSocket, type DhcpSegment } from './dhcp-sockets.ts';
import type { DhcpClient } from './identify-client.ts';
import { bootServerPort, type DhcpPorts } from './reply-destination.ts';

/** A socket with the segments whose machines it hears. */
export interface DhcpListener {
  readonly socket: Socket;
  readonly port: number;
  readonly asksBootServer: boolean;
  readonly hears: readonly AnsweredSegment[];
}

/** A segment with the socket that answers there. */
export interface AnsweredSegment extends DhcpSegment {
  readonly own: Socket;
  readonly ports: DhcpPorts;
}

/** For each segment the sockets of its own address, and one for each interface's broadcasts. */
export async function openListeners(
  site: Site,
  segments: readonly DhcpSegment[],
  asked: DhcpPorts,
): Promise<readonly DhcpListener[]> {
  for (const segment of segments) requireNetwork(site, segment.serverAddress);
  if (segments.length > 1 && segments.some((segment) => segment.broadcasts === undefined)) {
    throw new AppError(
      'dhcp-no-device-sockets',
      'several networks are served, and nothing tells their broadcasts apart',
      'start it with: rolecall serve, which opens a socket for each interface',
    );
  }
  const opened: Socket[] = [];
  const open = async (socket: Promise<Socket>): Promise<Socket> => {
    opened.push(await socket);
    return socket;
  };
  try {
    const listeners: DhcpListener[] = [];
    const byFd = new Map<number | undefined, AnsweredSegment[]>();
    for (const wanted of segments) {
      // Bound to the address, this socket gets unicast, and a limited broadcast that it sends leaves by that
      // address's interface.
      const own = await open(bindDhcpSocket(wanted.serverAddress, asked.server));
      own.setBroadcast(true);
      // Where EDK2 asks after an offer without discovery control (PXE 2.1 §2.2.3).
      const pxe = await open(bindDhcpSocket(wanted.serverAddress, bootServerPort(asked)));
      const server = own.address().port;
      const bootServer = pxe.address().port;
      const segment: AnsweredSegment = { ...wanted, own, ports: { ...asked, server, bootServer } };
      listeners.push({ socket: own, port: server, asksBootServer: false, hears: [segment] });
      listeners.push({ socket: pxe, port: bootServer, asksBootServer: true, hears: [segment] });
      byFd.set(wanted.broadcasts, [...(byFd.get(wanted.broadcasts) ?? []), segment]);
    }
    // Clients without an address broadcast: these sockets are bound to every address.
    for (const [fd, hears] of byFd) {
      const port = hears[0]?.ports.server ?? asked.server;
      const socket = await open(
        fd === undefined ? bindDhcpSocket('0.0.0.0', port) : adoptDhcpSocket(fd),
      );
      listeners.push({ socket, port, asksBootServer: false, hears });
    }
    return listeners;
  } catch (error) {
    await Promise.all(opened.map(closeSocket));
    throw error;
  }
}

/**
 * Which of the networks on one interface a client means: the one whose server it chose, the one to which
 * its role file connects this card, else the first.
 */
export function chooseSegment(
  segments: readonly AnsweredSegment[],
  client: DhcpClient,
  machine: Machine,
  site: Site,
): AnsweredSegment {
  const [first] = segments;
  if (!first) throw new Error('a socket that hears no segment');
  if (segments.length === 1) return first;
  const chosen = segments.find((segment) => segment.serverAddress === client.serverId);
  if (chosen) return chosen;
  const links = machine.kind === 'node' ? machine.node.links : [];
  const boot = machine.kind === 'node' ? bootLink(site, machine.node) : undefined;
  const link = links.find(({ macs }) => macs.includes(client.mac)) ?? boot;
  const server = link && site.networks.get(link.network)?.server;
  return segments.find((segment) => segment.serverAddress === server) ?? first;
}

function requireNetwork(site: Site, serverAddress: Ipv4): void {
  if ([...site.networks.values()].some((n) => n.server === serverAddress)) return;
  throw new AppError(
    'dhcp-no-network',
    `no network of site.yaml has the server ${serverAddress}`,
    `say server: ${serverAddress} in the network that this machine boots`,
  );
}
