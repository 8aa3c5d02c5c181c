import { describe, expect, it } from 'vitest';
import { parseDhcpPacket } from '../../../src/pxe/dhcp-packet.ts';
import {
  type DhcpClient,
  describeClient,
  identifyClient,
} from '../../../src/pxe/identify-client.ts';
import { readCapture } from '../../captures/read-capture.ts';
import { client, message, speaker } from './messages.ts';

function captured(name: string): DhcpClient {
  const packet = parseDhcpPacket(readCapture(name));
  const identified = packet.kind === 'packet' ? identifyClient(packet.packet) : packet;
  if (identified.kind === 'refusal') throw new Error(identified.reason);
  return identified.client;
}

const uuid = '11223344-5566-7788-99aa-bbccddeeff00';

describe('real firmware, loaders and systems', () => {
  it.each([
    [
      'ipxe-rom-bios-discover',
      'iPXE 1.0.0 (BIOS)',
      { messageType: 'discover', mac: '52:54:00:00:00:99', via: 'ipxe', firmware: 'bios', uuid },
    ],
    [
      'ipxe-rom-bios-request',
      'iPXE 1.0.0 (BIOS)',
      { messageType: 'request', requested: '10.77.0.200', serverId: '10.77.0.1', maxBytes: 1444 },
    ],
    [
      'ovmf-pxe-discover',
      'PXE firmware (UEFI x86-64)',
      { via: 'pxe', firmware: 'uefi', arch: 7, uuid, broadcast: true, maxBytes: 1444 },
    ],
    [
      'ovmf-pxe-request',
      'PXE firmware (UEFI x86-64)',
      { messageType: 'request', requested: '10.77.0.21', serverId: '10.77.0.1', uuid },
    ],
    [
      'ovmf-http-discover',
      'HTTP Boot firmware (UEFI x86-64 HTTP)',
      { via: 'http', firmware: 'uefi', arch: 16, uuid },
    ],
    ['ovmf-http-request', 'HTTP Boot firmware (UEFI x86-64 HTTP)', { messageType: 'request' }],
    [
      'rolecall-bios-discover',
      "rolecall's loader (BIOS)",
      { via: 'rolecall', firmware: 'bios', uuid },
    ],
    [
      'rolecall-uefi-discover',
      "rolecall's loader (UEFI x86-64)",
      { via: 'rolecall', firmware: 'uefi', uuid },
    ],
    ['rolecall-uefi-request', "rolecall's loader (UEFI x86-64)", { requested: '10.77.0.21' }],
    ['rolecall-http-discover', "rolecall's loader (UEFI x86-64)", { via: 'rolecall' }],
    [
      'udhcpc-as-pxe-discover',
      'PXE firmware (BIOS)',
      { via: 'pxe', firmware: 'bios', maxBytes: 548 },
    ],
    ['udhcpc-discover', 'operating system', { via: 'os', mac: '52:54:00:00:00:77' }],
    ['udhcpc-request', 'operating system', { requested: '10.77.0.200', serverId: '10.77.0.1' }],
    ['udhcpc-renew', 'PXE firmware (BIOS)', { messageType: 'request', ciaddr: '10.77.0.200' }],
    ['udhcpc-release', 'operating system', { messageType: 'release', ciaddr: '10.77.0.200' }],
  ])('%s: %s', (name, words, facts) => {
    const found = captured(name);
    expect(found).toMatchObject(facts);
    expect(describeClient(found)).toBe(words);
  });

  it('tells what an iPXE can do', () => {
    expect(captured('ipxe-rom-bios-discover').ipxe?.features).toContain(0x13);
  });
});

describe('who speaks', () => {
  const via = (options: Readonly<Record<number, string | Uint8Array>>) => client({ options }).via;

  it('knows a user class as bare text and as RFC 3004 list', () => {
    expect(via({ ...speaker.bios, 77: 'iPXE' })).toBe('ipxe');
    expect(via({ ...speaker.bios, 77: '\x04iPXE' })).toBe('ipxe');
    expect(via({ ...speaker.bios, 77: '\x03foo\x08rolecall' })).toBe('rolecall');
    expect(via({ ...speaker.bios, 77: 'rolecall' })).toBe('rolecall');
    expect(via({ ...speaker.bios, 77: 'gPXE' })).toBe('ipxe');
  });

  it('is not misled by a damaged user class', () => {
    expect(via({ ...speaker.bios, 77: '' })).toBe('pxe');
    expect(via({ ...speaker.bios, 77: '\xff' })).toBe('pxe');
    expect(via({ ...speaker.bios, 77: '\x00\x00' })).toBe('pxe');
  });

  it('knows an iPXE without user class by its own options', () => {
    const features = Uint8Array.of(0xeb, 3, 1, 21, 1, 0x13, 1, 1);
    const found = client({ options: { ...speaker.bios, 175: features } });
    expect(found.via).toBe('ipxe');
    expect(found.ipxe).toEqual({ version: '1.21.1', features: [0x13] });
  });

  it('takes the architecture from the vendor class where option 93 is missing', () => {
    expect(client({ options: { 60: 'PXEClient:Arch:00007:UNDI:003016' } }).arch).toBe(7);
  });

  it('takes from several architectures the one that has a loader', () => {
    expect(client({ options: { 60: 'PXEClient', 93: Uint8Array.of(0, 6, 0, 7) } }).arch).toBe(7);
  });

  it('knows no system UUID in a missing, empty, full or odd option 97', () => {
    const uuidOf = (value: Uint8Array) => client({ options: { 97: value } }).uuid;
    expect(client().uuid).toBeUndefined();
    expect(uuidOf(new Uint8Array(17))).toBeUndefined();
    expect(uuidOf(new Uint8Array(17).fill(255, 1))).toBeUndefined();
    expect(uuidOf(Uint8Array.of(0, 1, 2))).toBeUndefined();
    expect(uuidOf(new Uint8Array(17).fill(7))).toBeUndefined();
  });

  it('reads a relay: its address, the port, the subnet and the server that clients shall see', () => {
    const agent = Uint8Array.of(
      1,
      6,
      103,
      101,
      48,
      47,
      49,
      50,
      5,
      4,
      10,
      78,
      0,
      0,
      11,
      4,
      10,
      78,
      0,
      254,
    );
    const relayed = client({ giaddr: '10.79.0.254', options: { 82: agent } });
    expect(relayed.relay).toEqual({
      giaddr: '10.79.0.254',
      link: '10.78.0.0',
      serverId: '10.78.0.254',
    });
    expect(relayed.port).toEqual({ circuit: 'ge0/12' });
    // A switch that snoops names the port and is no relay.
    const snooped = client({ options: { 82: agent } });
    expect(snooped.relay).toBeUndefined();
    expect(snooped.port).toEqual({ circuit: 'ge0/12' });
  });

  it.each([
    ['numbers', [1, 3, 0, 4, 9], { circuit: '000409' }],
    ['text with a space', [1, 5, ...Buffer.from('Eth 1')], { circuit: 'Eth 1' }],
    ['text that ends with one', [1, 2, 65, 32], { circuit: '4120' }],
    [
      'both ids',
      [1, 2, 112, 55, 2, 6, 0, 1, 2, 3, 4, 5],
      { circuit: 'p7', remote: '000102030405' },
    ],
    ['no circuit', [2, 2, 65, 66], undefined],
    ['an empty circuit', [1, 0], undefined],
  ])('reads a port of %s', (_what, bytes, port) => {
    expect(client({ options: { 82: Uint8Array.from(bytes) } }).port).toEqual(port);
  });

  it.each([
    [undefined, 548],
    [100, 548],
    [576, 548],
    [1260, 1232],
    [65_535, 1472],
  ])('option 57 of %s bytes means replies of at most %s', (size, expected) => {
    const options = size === undefined ? {} : { 57: Uint8Array.of(size >> 8, size & 255) };
    expect(client({ options }).maxBytes).toBe(expected);
  });
});

describe('refusals', () => {
  it.each([
    ['a reply', { op: 'reply' }, 'it is a reply, not a request'],
    ['InfiniBand', { htype: 32, hlen: 0 }, 'hardware type 32 with 0 bytes is not Ethernet'],
    ['no address', { chaddr: new Uint8Array(16) }, 'its hardware address is empty'],
    [
      'a group address',
      { chaddr: Uint8Array.of(1, 0, 0x5e, 0, 0, 1, ...new Uint8Array(10)) },
      'its hardware address 01:00:5e:00:00:01 is a group address',
    ],
    ['BOOTP', { options: new Map() }, 'it is BOOTP without DHCP'],
    [
      'a server message',
      { options: new Map([[53, Uint8Array.of(2)]]) },
      "message type 2 is not a client's",
    ],
    [
      'two message types',
      { options: new Map([[53, Uint8Array.of(1, 3)]]) },
      "message type 1 3 is not a client's",
    ],
  ] as const)('%s', (_what, change, reason) => {
    expect(identifyClient({ ...message(), ...change })).toEqual({ kind: 'refusal', reason });
  });
});
