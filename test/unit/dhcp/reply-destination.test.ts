import { describe, expect, it } from 'vitest';
import { noAddress } from '../../../src/pxe/dhcp-packet.ts';
import { replyDestination } from '../../../src/pxe/reply-destination.ts';
import { ip } from './a-dhcp-site.ts';

const relay = ip('10.78.0.254');
const own = ip('10.77.0.21');
const none = noAddress;

describe('where a reply goes (RFC 2131 §4.1)', () => {
  it.each([
    ['offer', none, none, '255.255.255.255', 68],
    ['ack', none, none, '255.255.255.255', 68],
    ['nak', none, none, '255.255.255.255', 68],
    ['ack', none, own, '10.77.0.21', 68],
    ['nak', none, own, '255.255.255.255', 68],
    ['offer', relay, none, '10.78.0.254', 67],
    ['ack', relay, own, '10.78.0.254', 67],
    ['nak', relay, own, '10.78.0.254', 67],
  ] as const)('%s, giaddr %s, ciaddr %s: %s port %i', (type, giaddr, ciaddr, address, port) => {
    const ports = { server: 67, client: 68 };
    expect(replyDestination({ giaddr, ciaddr }, type, ports)).toEqual({ address, port });
  });
});
