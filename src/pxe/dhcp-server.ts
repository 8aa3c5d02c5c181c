import type { Socket } from 'node:dgram';
import { identifyMachine } from '../boot/identify-machine.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import type { Site } from '../site/site.ts';
import type { Event, EventBody } from '../state/event.ts';
import type { LeaseStore } from '../state/leases.ts';
import { createBusyMachines } from './busy-machines.ts';
import { type DhcpDecision, type DhcpFacts, type LeaseChange, refuse } from './dhcp-decision.ts';
import {
  type AnsweredSegment,
  chooseSegment,
  type DhcpListener,
  openListeners,
} from './dhcp-listeners.ts';
import { packDhcpPacket, parseDhcpPacket } from './dhcp-packet.ts';
import { decideDhcpReply } from './dhcp-reply.ts';
import { closeSocket, type DhcpSegment } from './dhcp-sockets.ts';
import { createFirmwareSightings } from './firmware-sightings.ts';
import { createFirstOffers, firstOffer } from './first-offers.ts';
import { createGroupCommit } from './group-commit.ts';
import { createHeldAddresses } from './held-addresses.ts';
import { clientIdentity, type DhcpClient, identifyClient } from './identify-client.ts';
import { declineHold } from './leases.ts';
import { createPoolIndex } from './pool-index.ts';
import { createRepeatedRefusals } from './repeated-refusals.ts';
import type { Destination, DhcpPorts } from './reply-destination.ts';
import { createStrangerEvents } from './stranger-events.ts';
import { createUnreadableMessages } from './unreadable-messages.ts';
import type { WirePacket } from './wire-packet.ts';

export interface DhcpServerInput {
  /** Where it answers; more than one only with a socket for each one's broadcasts. */
  readonly segments: readonly DhcpSegment[];
  /** Asked for every message, so that a reloaded site counts from the next message on. */
  readonly current: () => { readonly site: Site };
  readonly leases: LeaseStore;
  /** When the machine last fetched our loader, milliseconds since the epoch. */
  readonly loaderFetchedAt: (mac: MacAddress) => number | undefined;
  /** Who a client is, by more than it says now; by that alone where left out. */
  readonly identify?: (client: DhcpClient) => Pick<DhcpFacts, 'machine' | 'rival'>;
  /**
   * Which machine on the segment of this server's address `from` uses an address already; asked before an address
   * of the pool is offered to a machine for the first time, and not at all where left out.
   */
  readonly whoHas?: (address: Ipv4, from: Ipv4) => Promise<MacAddress | undefined>;
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
  /** Those of the first segment. */
  readonly ports: DhcpPorts;
  stop(): Promise<void>;
}

interface Heard {
  readonly segment: AnsweredSegment;
  readonly decision: DhcpDecision;
  /** Whether no role file names the machine. */
  readonly isStranger: boolean;
}

/**
 * Answers DHCP, as server or proxy, on every segment; resolves when it listens.
 * Fails with an AppError where an address or a port cannot be had, or no network of site.yaml has the address.
 */
export async function startDhcpServer(input: DhcpServerInput): Promise<DhcpServer> {
  const now = input.now ?? Date.now;
  const held = createHeldAddresses();
  const pools = createPoolIndex(input.leases, held);
  const firmware = createFirmwareSightings();
  const refusals = createRepeatedRefusals();
  const strangers = createStrangerEvents();
  const busy = createBusyMachines();
  const unreadable = createUnreadableMessages(input.log);
  const commits = createGroupCommit(input.leases, input.log);
  const offers = input.whoHas && createFirstOffers(input.whoHas);
  let stopped = false;
  const { site } = input.current();
  const asked = input.ports ?? { server: 67, client: 68 };
  const listeners = await openListeners(site, input.segments, asked);

  function decide(listener: DhcpListener, from: Destination, client: DhcpClient): Heard {
    const { site } = input.current();
    const at = now();
    firmware.note(client, at);
    held.expire(at);
    const who = input.identify?.(client) ?? {
      machine: identifyMachine(site, clientIdentity(client)),
    };
    const segment = chooseSegment(listener.hears, client, who.machine, site);
    const facts: { -readonly [Key in keyof DhcpFacts]: DhcpFacts[Key] } = {
      site,
      machine: who.machine,
      serverAddress: segment.serverAddress,
      httpServer: segment.httpServer,
      leases: input.leases,
      holds: held,
      pools,
      isOurLoader: firmware.isOurLoader(client.mac, input.loaderFetchedAt(client.mac), at),
      ports: segment.ports,
      now: at,
    };
    if (who.rival !== undefined) facts.rival = who.rival;
    if (listener.asksBootServer) facts.bootServerAsker = from;
    if (input.leaseSeconds !== undefined) facts.leaseSeconds = input.leaseSeconds;
    const decision = decideDhcpReply(client, facts);
    return { segment, decision, isStranger: who.machine.kind !== 'node' };
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
        commits.put(change.lease);
        break;
      case 'delete':
        commits.delete(change.mac);
        break;
    }
  }

  function show(
    direction: 'in' | 'out',
    { mac, via }: DhcpClient,
    local: WirePacket['local'],
    remote: WirePacket['remote'],
    bytes: Uint8Array,
  ): void {
    const protocol = 'dhcp';
    const summary = '';
    const at = now();
    input.onPacket?.({ at, machine: mac, via, direction, local, remote, protocol, summary, bytes });
  }

  function receive(
    listener: DhcpListener,
    bytes: Uint8Array,
    from: Destination,
    isDecidedAnew: boolean,
  ): void {
    const parsed = parseDhcpPacket(bytes);
    const identified = parsed.kind === 'packet' ? identifyClient(parsed.packet) : parsed;
    if (identified.kind === 'refusal') {
      unreadable.tell(bytes, from.address, identified.reason, now());
      return;
    }
    const { client } = identified;
    const heard = decide(listener, from, client);
    const { segment, decision } = heard;
    const local = { address: segment.serverAddress, port: listener.port };
    if (input.onPacket && !isDecidedAnew) show('in', client, local, from, bytes);
    const awaited = held.of(client.mac);
    // It asks again while its address is looked for.
    const again = () => {
      if (!stopped) hear(listener, bytes, from, true);
    };
    if (awaited !== undefined && offers?.isSought(awaited, again)) return;
    const first = offers && firstOffer(decision, client, { leases: input.leases, holds: held });
    for (const change of decision.changes) apply(change);
    const answer = () => {
      if (decision.kind === 'reply') {
        send(listener.asksBootServer ? listener.socket : segment.own, local, client, decision);
      }
      tell(client, heard);
    };
    const isSought =
      first !== undefined &&
      offers?.seek(first, segment.serverAddress, (holder) => {
        if (stopped) return;
        if (holder === undefined || holder === client.mac) return answer();
        avoid(first, holder, client, decision.node);
        again();
      });
    if (isSought) return;
    // An offer promises nothing that a restart may not forget (RFC 2131 §3.1.2); it waits for no disk.
    if (decision.changes.some((change) => change.kind === 'put' || change.kind === 'delete')) {
      commits.whenWritten(answer, (why) => {
        const reason = `it gets no answer, for its lease cannot be kept: ${why}`;
        tell(client, { ...heard, decision: refuse({ name: decision.node }, reason) });
      });
    } else answer();
  }

  /** Gives an address that somebody uses to nobody for a while. */
  function avoid(address: Ipv4, holder: MacAddress, { mac }: DhcpClient, node: string): void {
    held.hold(address, { until: now() + declineHold });
    const reason = `${holder} already uses ${address} of the pool; nobody is given it for an hour. Take that machine's address out of the pool, or give it a role file`;
    const event: EventBody = { kind: 'dhcp-problem', problem: 'address-conflict', reason };
    input.onEvent({ machine: mac, node, ...event });
  }

  /** One broken message, or a disk that refuses, ends nothing. */
  function hear(
    listener: DhcpListener,
    bytes: Uint8Array,
    from: Destination,
    isDecidedAnew = false,
  ): void {
    try {
      receive(listener, bytes, from, isDecidedAnew);
    } catch (error) {
      input.log(`dhcp: ${from.address}: ${error instanceof Error ? error.message : error}`);
    }
  }

  function tell(client: DhcpClient, { decision, isStranger }: Heard): void {
    const at = now();
    if (!refusals.isNews(client.mac, decision, at)) return;
    const told = busy.admit(client.mac, at);
    const { tell, instead } = told.tell && isStranger ? strangers.admit(decision, at) : told;
    if (instead !== undefined) {
      const event: EventBody = { kind: 'dhcp-refused', reason: instead };
      input.onEvent({ machine: client.mac, node: decision.node, ...event });
    }
    if (!tell) return;
    if (decision.event) {
      input.onEvent({ machine: client.mac, node: decision.node, ...decision.event });
    } else if (decision.kind === 'ignore') {
      input.log(`dhcp: ${client.mac} ${decision.node}: ${decision.reason}`);
    }
  }

  function send(
    socket: Socket,
    local: WirePacket['local'],
    client: DhcpClient,
    { packet, maxBytes, to }: DhcpDecision & { kind: 'reply' },
  ): void {
    const bytes = packDhcpPacket(packet, maxBytes);
    socket.send(bytes, to.port, to.address, (error) => {
      if (error) input.log(`dhcp: ${client.mac}: no reply to ${to.address}: ${error.message}`);
    });
    if (input.onPacket) show('out', client, local, to, bytes);
  }

  for (const listener of listeners) {
    listener.socket.on('message', (bytes, from) => {
      if (stopped) return;
      hear(listener, bytes, { address: from.address as Ipv4, port: from.port });
    });
    listener.socket.on('error', (error) => input.log(`dhcp: ${error.message}`));
  }
  const ports = listeners[0]?.hears[0]?.ports ?? asked;
  return {
    ports,
    async stop() {
      stopped = true;
      await commits.flush();
      await Promise.all(listeners.map((listener) => closeSocket(listener.socket)));
    },
  };
}
