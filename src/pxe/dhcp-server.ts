import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { identifyMachine } from '../boot/identify-machine.ts';
import { AppError } from '../errors.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import type { Site } from '../site/site.ts';
import type { Event, EventBody } from '../state/event.ts';
import type { LeaseStore } from '../state/leases.ts';
import { lowPortHint } from '../system/low-ports.ts';
import type { DhcpDecision, DhcpFacts, LeaseChange } from './dhcp-decision.ts';
import { packDhcpPacket, parseDhcpPacket } from './dhcp-packet.ts';
import { decideDhcpReply } from './dhcp-reply.ts';
import { createFirmwareSightings } from './firmware-sightings.ts';
import { createHeldAddresses } from './held-addresses.ts';
import { clientIdentity, type DhcpClient, identifyClient } from './identify-client.ts';
import { createPoolIndex } from './pool-index.ts';
import { createRepeatedRefusals } from './repeated-refusals.ts';
import { bootServerPort, type Destination, type DhcpPorts } from './reply-destination.ts';
import type { WirePacket } from './wire-packet.ts';

export interface DhcpServerInput {
  /** The boot server's own address on the boot network; it names the network of site.yaml. */
  readonly serverAddress: Ipv4;
  /** `http://10.77.0.1`, with a port where it is not 80. */
  readonly httpServer: string;
  /** Asked for every message, so that a reloaded site counts from the next message on. */
  readonly current: () => { readonly site: Site };
  readonly leases: LeaseStore;
  /** When the machine last fetched our loader, milliseconds since the epoch. */
  readonly loaderFetchedAt: (mac: MacAddress) => number | undefined;
  /** Who a client is, by more than it says now; by that alone where left out. */
  readonly identify?: (client: DhcpClient) => Pick<DhcpFacts, 'machine' | 'rival'>;
  readonly onEvent: (event: EventBody & Pick<Event, 'machine' | 'node'>) => void;
  /** What no event covers: unreadable messages, failures to send. */
  readonly log: (line: string) => void;
  /** Shown every message of an Ethernet client, and every answer. */
  readonly onPacket?: (packet: WirePacket) => void;
  /** 67 and 68 where left out; server port 0 takes any free one. */
  readonly ports?: DhcpPorts;
  readonly now?: () => number;
  /** Seconds for which an address is given; twelve hours where left out. */
  readonly leaseSeconds?: number;
}

export interface DhcpServer {
  readonly ports: DhcpPorts;
  stop(): Promise<void>;
}

/**
 * Answers DHCP, as server or proxy, on the segment of `serverAddress`; resolves when it listens.
 * Fails with an AppError where the address or a port cannot be had, or no network of site.yaml has the address.
 */
export async function startDhcpServer(input: DhcpServerInput): Promise<DhcpServer> {
  requireMode(input.current().site, input.serverAddress);
  const now = input.now ?? Date.now;
  const asked = input.ports ?? { server: 67, client: 68 };
  const held = createHeldAddresses();
  const pools = createPoolIndex(input.leases, held);
  const firmware = createFirmwareSightings();
  const refusals = createRepeatedRefusals();

  // Bound to the address, this socket gets unicast, and a limited broadcast that it sends leaves by that
  // address's interface; bound to every address, the other gets the broadcasts of clients without one.
  const own = await bind(input.serverAddress, asked.server);
  const ports: DhcpPorts = { server: own.address().port, client: asked.client };
  const everyone = await bind('0.0.0.0', ports.server).catch(async (error: unknown) => {
    await close(own);
    throw error;
  });
  // Where EDK2 asks after an offer without discovery control (PXE 2.1 §2.2.3).
  const bootServer = await bind(input.serverAddress, bootServerPort(asked)).catch(
    async (error: unknown) => {
      await Promise.all([close(own), close(everyone)]);
      throw error;
    },
  );
  own.setBroadcast(true);

  function decide(client: DhcpClient, bootServerAsker?: Destination): DhcpDecision {
    const { site } = input.current();
    const at = now();
    firmware.note(client, at);
    held.expire(at);
    return decideDhcpReply(client, {
      site,
      ...(input.identify?.(client) ?? {
        machine: identifyMachine(site, clientIdentity(client)),
      }),
      serverAddress: input.serverAddress,
      httpServer: input.httpServer,
      leases: input.leases,
      holds: held,
      pools,
      isOurLoader: firmware.isOurLoader(client.mac, input.loaderFetchedAt(client.mac), at),
      ports,
      ...(bootServerAsker === undefined ? {} : { bootServerAsker }),
      now: at,
      ...(input.leaseSeconds === undefined ? {} : { leaseSeconds: input.leaseSeconds }),
    });
  }

  function apply(change: LeaseChange): void {
    switch (change.kind) {
      case 'hold':
        held.hold(change.address, change.hold);
        break;
      case 'unhold':
        held.release(change.mac);
        break;
      case 'put':
        input.leases.put(change.lease);
        break;
      case 'delete':
        input.leases.delete(change.mac);
        break;
    }
  }

  function show(
    socket: Socket,
    direction: 'in' | 'out',
    { mac, via }: DhcpClient,
    remote: WirePacket['remote'],
    bytes: Uint8Array,
  ): void {
    const local = { address: input.serverAddress, port: socket.address().port };
    const about = { at: now(), machine: mac, via, direction, local, remote };
    input.onPacket?.({ ...about, protocol: 'dhcp', summary: '', bytes });
  }

  function receive(socket: Socket, bytes: Uint8Array, from: Destination): void {
    const parsed = parseDhcpPacket(bytes);
    const identified = parsed.kind === 'packet' ? identifyClient(parsed.packet) : parsed;
    if (identified.kind === 'refusal') {
      input.log(`dhcp: a message of ${from.address} is not answered: ${identified.reason}`);
      return;
    }
    const { client } = identified;
    show(socket, 'in', client, from, bytes);
    const asksBootServer = socket === bootServer;
    const decision = decide(client, asksBootServer ? from : undefined);
    for (const change of decision.changes) apply(change);
    if (decision.kind === 'reply') send(asksBootServer ? bootServer : own, client, decision);
    if (!refusals.isNews(client.mac, decision, now())) return;
    if (decision.event) {
      input.onEvent({ machine: client.mac, node: decision.node, ...decision.event });
    } else if (decision.kind === 'ignore') {
      input.log(`dhcp: ${client.mac} ${decision.node}: ${decision.reason}`);
    }
  }

  function send(
    socket: Socket,
    client: DhcpClient,
    { packet, maxBytes, to }: DhcpDecision & { kind: 'reply' },
  ): void {
    const bytes = packDhcpPacket(packet, maxBytes);
    socket.send(bytes, to.port, to.address, (error) => {
      if (error) input.log(`dhcp: ${client.mac}: no reply to ${to.address}: ${error.message}`);
    });
    show(socket, 'out', client, to, bytes);
  }

  for (const socket of [own, everyone, bootServer]) {
    socket.on('message', (bytes, from) => {
      // A lease that cannot be written is not acknowledged; the client asks again, and others are served.
      try {
        receive(socket, bytes, { address: from.address as Ipv4, port: from.port });
      } catch (error) {
        input.log(`dhcp: ${from.address}: ${error instanceof Error ? error.message : error}`);
      }
    });
    socket.on('error', (error) => input.log(`dhcp: ${error.message}`));
  }
  return {
    ports: { ...ports, bootServer: bootServer.address().port },
    async stop() {
      await Promise.all([close(own), close(everyone), close(bootServer)]);
    },
  };
}

function requireMode(site: Site, serverAddress: Ipv4): void {
  const network = [...site.networks.values()].find((n) => n.server === serverAddress);
  if (!network) {
    throw new AppError(
      'dhcp-no-network',
      `no network of site.yaml has the server ${serverAddress}`,
      `say server: ${serverAddress} in the network that this machine boots`,
    );
  }
}

async function bind(address: string, port: number): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  try {
    socket.bind({ address, port, exclusive: true });
    await once(socket, 'listening');
    return socket;
  } catch (error) {
    socket.close();
    throw bindFailed(address, port, error);
  }
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

async function close(socket: Socket): Promise<void> {
  await new Promise<void>((done) => {
    socket.close(() => done());
  });
}
