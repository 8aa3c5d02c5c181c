import { identifyMachine } from '../../src/boot/identify-machine.ts';
import { readServerAnswer } from '../../src/probe/simulated-client.ts';
import { createBootTrace } from '../../src/pxe/boot-trace.ts';
import { packDhcpPacket, parseDhcpPacket } from '../../src/pxe/dhcp-packet.ts';
import { decideDhcpReply } from '../../src/pxe/dhcp-reply.ts';
import { diagnoseBoot } from '../../src/pxe/diagnose-boot.ts';
import { createFirmwareSightings } from '../../src/pxe/firmware-sightings.ts';
import { createHeldAddresses } from '../../src/pxe/held-addresses.ts';
import { describeClient, identifyClient } from '../../src/pxe/identify-client.ts';
import { createPoolIndex } from '../../src/pxe/pool-index.ts';
import { createRepeatedRefusals } from '../../src/pxe/repeated-refusals.ts';
import { describePacket, type WirePacket } from '../../src/pxe/wire-packet.ts';
import type { Site } from '../../src/site/site.ts';
import { createLeaseTable } from '../../src/state/leases.ts';
import { captureNames, readCapture } from '../captures/read-capture.ts';
import { aDhcpSite, ip, serverAddress } from '../unit/dhcp/a-dhcp-site.ts';
import { message, speaker } from '../unit/dhcp/messages.ts';
import { type FuzzTarget, must } from './fuzz-target.ts';

const seeds: readonly Uint8Array[] = [
  ...captureNames().map(readCapture),
  ...[
    message({ options: { ...speaker.bios, 77: '\x04iPXE\x08rolecall' } }),
    message({
      giaddr: '10.78.0.254',
      options: { 82: Uint8Array.of(1, 2, 0, 7, 5, 4, 10, 78, 0, 0, 11, 4, 10, 77, 0, 1) },
    }),
    message({
      mac: '52:54:00:00:00:99',
      type: 'request',
      serverId: '10.77.0.1',
      requested: '10.77.0.200',
    }),
    message({
      mac: '52:54:00:00:00:99',
      type: 'decline',
      serverId: '10.77.0.1',
      requested: '10.77.0.200',
    }),
    message({
      mac: '52:54:00:00:00:99',
      type: 'release',
      serverId: '10.77.0.1',
      ciaddr: '10.77.0.200',
    }),
    message({ type: 'inform', ciaddr: '10.77.0.21' }),
    message({ options: { 52: Uint8Array.of(3), 57: Uint8Array.of(2, 64) } }),
  ].map((packet) => packDhcpPacket(packet, 1472)),
];

/** Whole options, and halves of them. */
const words = [
  ...[1, 2, 3, 4, 5, 6, 7, 8].map((type) => [53, 1, type]),
  ...[1, 2, 3].map((overload) => [52, 1, overload]),
  ...[[0], [255], [53, 0], [53, 2, 1, 1], [82, 0], [54, 4, 10, 77, 0, 1], [54, 4, 10, 77, 0, 9]],
  ...[
    [57, 2, 0, 0],
    [57, 2, 2, 64],
    [57, 2, 255, 255],
    [50, 4, 10, 77, 0, 201],
    [50, 4, 0, 0, 0, 0],
  ],
  ...[
    [93, 2, 0, 0],
    [93, 2, 0, 7],
    [93, 2, 0, 16],
    [93, 1, 0],
    [60, 9, ...Buffer.from('PXEClient')],
  ],
  ...[
    [77, 4, ...Buffer.from('iPXE')],
    [175, 6, 0xeb, 3, 1, 21, 1, 8],
    [175, 3, 0xb0, 255, 1],
  ],
  ...[
    [82, 6, 5, 4, 10, 78, 0, 0],
    [82, 3, 1, 255, 7],
    [82, 8, 1, 1, 7, 2, 1, 7, 0, 255],
    [12, 1, 65],
  ],
  ...[
    [97, 17, 0, ...Buffer.alloc(16, 7)],
    [61, 7, 1, 2, 3, 4, 5, 6, 7],
    [43, 3, 6, 1, 8],
    [71, 4, 0, 0, 0, 0],
  ],
  [99, 130, 83, 99],
].map((bytes) => Uint8Array.from(bytes));

const poolSize = 8;

/** A server's mind without its sockets: everything that it keeps of what strangers say, and its bounds. */
function aServer(site: Site) {
  const leases = createLeaseTable();
  const leased = new Set<string>();
  const held = createHeldAddresses();
  const pools = createPoolIndex(leases, held);
  const firmware = createFirmwareSightings(64);
  const refusals = createRepeatedRefusals(64);
  const trace = createBootTrace({ machines: 32, strangers: 8, bytes: 200_000 });
  let now = 1_800_000_000_000;

  function hear(bytes: Uint8Array): string {
    now += 50;
    const parsed = parseDhcpPacket(bytes);
    // The other side of the same codec, which probe points at strangers' servers.
    readServerAnswer(bytes);
    if (parsed.kind === 'refusal') return refused(parsed.reason, 'unreadable');
    const identified = identifyClient(parsed.packet);
    if (identified.kind === 'refusal') return refused(identified.reason, 'no client');
    const { client } = identified;
    must(parsed.packet.op === 'request', 'only a client asks');
    const said = describeClient(client);
    must(said.length < 1000 && !/[^\x20-\x7e]/.test(said), `not for an operator's eyes: ${said}`);
    const wire = {
      ...{
        protocol: 'dhcp',
        direction: 'in',
        at: now,
        machine: client.mac,
        via: client.via,
        bytes,
      },
      ...{ local: { address: serverAddress, port: 67 }, remote: { address: '0.0.0.0', port: 68 } },
      summary: '',
    } as const satisfies WirePacket;
    trace.note(wire);
    describePacket(wire);
    if (now % 1000 === 0) diagnoseBoot(trace.of(client.mac)?.packets ?? [], now);
    firmware.note(client, now);
    held.expire(now);
    const asker = now % 200 === 0 ? { address: ip('10.77.0.21'), port: 4011 } : undefined;
    const decision = decideDhcpReply(client, {
      site,
      machine: identifyMachine(site, { mac: client.mac }),
      ...{ serverAddress, httpServer: 'http://10.77.0.1', leases, holds: held, pools, now },
      isOurLoader: firmware.isOurLoader(client.mac, now - 1000, now),
      ports: { server: 67, client: 68 },
      ...(asker ? { bootServerAsker: asker } : {}),
    });
    refusals.isNews(client.mac, decision, now);
    for (const change of decision.changes) {
      if (change.kind === 'hold') held.hold(change.address, change.hold);
      else if (change.kind === 'unhold') held.release(change.mac);
      else if (change.kind === 'put') {
        leases.put(change.lease);
        leased.add(change.lease.mac);
      } else {
        leases.delete(change.mac);
        leased.delete(change.mac);
      }
    }
    must(leased.size <= poolSize, 'there are more leases than addresses');
    if (decision.kind === 'ignore') {
      must(decision.reason !== '', 'it is ignored for no reason');
      return 'ignored';
    }
    must(
      client.messageType !== 'release' && client.messageType !== 'decline',
      'nobody waits for that',
    );
    const sent = packDhcpPacket(decision.packet, decision.maxBytes);
    must(sent.length >= 300 && sent.length <= decision.maxBytes, `${sent.length} bytes are sent`);
    const answer = parseDhcpPacket(sent);
    if (answer.kind === 'refusal') throw new Error(`the reply cannot be read: ${answer.reason}`);
    const { packet } = answer;
    must(packet.op === 'reply' && packet.xid === client.xid, 'the reply is to another question');
    must(
      Buffer.compare(packet.chaddr, parsed.packet.chaddr) === 0,
      'the reply is to another client',
    );
    must([2, 5, 6].includes(packet.options.get(53)?.[0] ?? 0), 'the reply has no message type');
    must(packet.options.get(54)?.length === 4, 'the reply has no server identifier');
    must(decision.to.port > 0 && decision.to.address !== ip('0.0.0.0'), 'the reply goes nowhere');
    return 'replied';
  }
  return hear;
}

function refused(reason: string, outcome: string): string {
  must(reason !== '' && reason.length < 300, `no reason for an operator: ${reason}`);
  return outcome;
}

/** DHCP messages to a server in server mode. */
export function dhcpTarget(): FuzzTarget {
  return { name: 'dhcp', seeds, words, run: aServer(aDhcpSite()) };
}

/** The same beside another DHCP server, which gives the addresses. */
export function proxyDhcpTarget(): FuzzTarget {
  return { name: 'proxy-dhcp', seeds, words, run: aServer(aDhcpSite({ boot: { dhcp: 'proxy' } })) };
}
