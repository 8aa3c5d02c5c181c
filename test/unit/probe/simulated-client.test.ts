import { expect, test } from 'vitest';
import {
  bootServerMessage,
  type ClientKind,
  discoverMessage,
  readServerAnswer,
  releaseMessage,
  requestMessage,
  type SimulatedClient,
} from '../../../src/probe/simulated-client.ts';
import { parseDhcpPacket } from '../../../src/pxe/dhcp-packet.ts';
import { describeClient, identifyClient } from '../../../src/pxe/identify-client.ts';
import { ip, mac } from '../dhcp/a-dhcp-site.ts';

const lease = { address: ip('10.77.0.200'), serverId: ip('10.77.0.1') };
const aClient = (kind: ClientKind, more: Partial<SimulatedClient> = {}): SimulatedClient => ({
  ...{ kind, mac: mac('52:54:00:00:00:77'), xid: 0x77 },
  ...more,
});

function identified(bytes: Uint8Array) {
  const parsed = parseDhcpPacket(bytes);
  if (parsed.kind === 'refusal') throw new Error(parsed.reason);
  const who = identifyClient(parsed.packet);
  if (who.kind === 'refusal') throw new Error(who.reason);
  return who.client;
}

test.each([
  ['bios', 'PXE firmware (BIOS)'],
  ['uefi', 'PXE firmware (UEFI x86-64)'],
  ['uefi-http', 'HTTP Boot firmware (UEFI x86-64 HTTP)'],
  ['ipxe', 'iPXE 1.21.1 (BIOS)'],
  ['loader', "rolecall's loader (BIOS)"],
] as const)('%s is taken for %s', (kind, words) => {
  expect(describeClient(identified(discoverMessage(aClient(kind))))).toBe(words);
});

test('the four messages say what RFC 2131 table 5 wants of them', () => {
  const client = aClient('uefi', { uuid: new Uint8Array(16).fill(7), giaddr: ip('10.78.0.1') });
  expect(identified(discoverMessage(client))).toMatchObject({
    messageType: 'discover',
    xid: 0x77,
    broadcast: true,
    uuid: '07070707-0707-0707-0707-070707070707',
    relay: { giaddr: '10.78.0.1' },
  });
  expect(identified(requestMessage(client, lease))).toMatchObject({
    messageType: 'request',
    requested: '10.77.0.200',
    serverId: '10.77.0.1',
    ciaddr: '0.0.0.0',
  });
  expect(identified(bootServerMessage(client, lease.address))).toMatchObject({
    messageType: 'request',
    ciaddr: '10.77.0.200',
    broadcast: false,
  });
  expect(identified(releaseMessage(client, lease))).toMatchObject({
    messageType: 'release',
    ciaddr: '10.77.0.200',
    serverId: '10.77.0.1',
  });
});

test('what is no answer of a server is none', () => {
  expect(readServerAnswer(discoverMessage(aClient('bios')))).toBeUndefined();
  expect(readServerAnswer(new Uint8Array(300))).toBeUndefined();
});
