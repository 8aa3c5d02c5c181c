import { type Ipv4, ipv4FromNumber } from '../net/ipv4.ts';
import { noAddress } from './dhcp-packet.ts';

/** UDP ports of DHCP: 67, 68 and 4011, others in tests. */
export interface DhcpPorts {
  readonly server: number;
  readonly client: number;
  /** The boot server's (PXE 2.1 §2.2.3). */
  readonly bootServer?: number;
}

/** UDP port of the boot server: 4011, any free one beside another DHCP port. */
export function bootServerPort(ports: DhcpPorts): number {
  return ports.bootServer ?? (ports.server === 67 ? 4011 : 0);
}

export interface Destination {
  readonly address: Ipv4;
  readonly port: number;
}

/** 255.255.255.255: everyone on the segment. */
export const limitedBroadcast: Ipv4 = ipv4FromNumber(0xffffffff);

/**
 * Where a reply goes (RFC 2131 §4.1): to the relay, to the client's own address, or to everyone.
 * A client without an address cannot be reached by unicast from an ordinary socket, so its reply is
 * broadcast even where it did not ask for that; the RFC allows it.
 */
export function replyDestination(
  client: { readonly giaddr: Ipv4; readonly ciaddr: Ipv4 },
  reply: 'offer' | 'ack' | 'nak',
  ports: DhcpPorts,
): Destination {
  if (client.giaddr !== noAddress) return { address: client.giaddr, port: ports.server };
  // A refused client may not use its address any more, so a NAK is broadcast.
  if (reply !== 'nak' && client.ciaddr !== noAddress) {
    return { address: client.ciaddr, port: ports.client };
  }
  return { address: limitedBroadcast, port: ports.client };
}
