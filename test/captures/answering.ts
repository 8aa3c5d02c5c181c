import { identifyMachine } from '../../src/boot/identify-machine.ts';
import type { Blob } from '../../src/boot/image-manifest.ts';
import { formatPort } from '../../src/boot/switch-port.ts';
import type { Ipv4 } from '../../src/net/ipv4.ts';
import type { MacAddress } from '../../src/net/mac.ts';
import type { DhcpDecision, LeaseChange } from '../../src/pxe/dhcp-decision.ts';
import { dhcpOption } from '../../src/pxe/dhcp-options.ts';
import { packDhcpPacket, parseDhcpPacket } from '../../src/pxe/dhcp-packet.ts';
import { decideDhcpReply } from '../../src/pxe/dhcp-reply.ts';
import { createFirmwareSightings } from '../../src/pxe/firmware-sightings.ts';
import { createHeldAddresses } from '../../src/pxe/held-addresses.ts';
import {
  clientIdentity,
  type DhcpClient,
  describeClient,
  identifyClient,
} from '../../src/pxe/identify-client.ts';
import { createPoolIndex } from '../../src/pxe/pool-index.ts';
import { agreeTerms, decideRequest } from '../../src/pxe/tftp-options.ts';
import { parseTftpPacket } from '../../src/pxe/tftp-packet.ts';
import type { OpenLoader } from '../../src/server/tftp-content.ts';
import type { Site } from '../../src/site/site.ts';
import { createLeaseTable } from '../../src/state/leases.ts';
import type { RecordedPacket } from './recording.ts';

/** What the decisions rest on besides the packets. */
export interface AnsweringFacts {
  readonly site: Site;
  readonly loaders: Readonly<Record<string, Blob>>;
  readonly open: OpenLoader;
}

/** A boot server without sockets: one line for each packet that comes to it. */
export interface Answering {
  /** Who it was taken for and what it gets, on one line; undefined for what is not sent to the server. */
  answer(packet: RecordedPacket): Promise<string | undefined>;
}

const serverAddress = '10.77.0.1' as Ipv4;
const httpServer = `http://${serverAddress}`;
const noon = Date.UTC(2026, 0, 1, 12);

/** Decides as the servers do, over leases and holds that begin empty. */
export function createAnswering({ site, loaders, open }: AnsweringFacts): Answering {
  const leases = createLeaseTable();
  const holds = createHeldAddresses();
  const pools = createPoolIndex(leases, holds);
  const firmware = createFirmwareSightings();
  /** When a machine last fetched a loader; TFTP knows it by the address it was given. */
  const fetched = new Map<MacAddress, number>();
  const machineAt = new Map<string, MacAddress>();

  function apply(change: LeaseChange): void {
    switch (change.kind) {
      case 'hold':
        holds.hold(change.address, change.hold);
        break;
      case 'unhold':
        holds.release(change.mac);
        break;
      case 'put':
        leases.put(change.lease);
        break;
      case 'delete':
        leases.delete(change.mac);
        break;
    }
  }

  function answerDhcp({ bytes, from, to }: RecordedPacket, now: number): string {
    const parsed = parseDhcpPacket(bytes);
    const identified = parsed.kind === 'packet' ? identifyClient(parsed.packet) : parsed;
    if (identified.kind === 'refusal') return `DHCP · no answer: ${identified.reason}`;
    const { client } = identified;
    firmware.note(client, now);
    holds.expire(now);
    const machine = identifyMachine(site, clientIdentity(client));
    const decision = decideDhcpReply(client, {
      ...{ site, machine, serverAddress, httpServer, leases, holds, pools, now },
      isOurLoader: firmware.isOurLoader(client.mac, fetched.get(client.mac), now),
      ports: { server: 67, client: 68 },
      ...(to.port === 4011
        ? { bootServerAsker: { address: from.address as Ipv4, port: from.port } }
        : {}),
    });
    for (const change of decision.changes) apply(change);
    if (decision.kind === 'reply') machineAt.set(decision.packet.yiaddr, client.mac);
    return [describeMessage(client), ...describeDecision(decision)].join(' · ');
  }

  async function answerTftp({ bytes, from }: RecordedPacket, now: number): Promise<string> {
    const parsed = parseTftpPacket(bytes);
    if (!parsed.ok) return `TFTP · no answer: ${parsed.reason}`;
    const { packet } = parsed;
    if (packet.kind !== 'rrq' && packet.kind !== 'wrq') return `${packet.kind} · not a request`;
    const asked = [packet.file, packet.mode, ...pairs(packet.options)].join(' ');
    const decision = decideRequest(packet);
    if (decision.kind === 'refuse') return `${packet.kind} ${asked} · error: ${decision.message}`;
    const content = await open(decision.file, httpServer, loaders);
    if (!content) return `${packet.kind} ${asked} · error: file not found`;
    const mac = machineAt.get(from.address);
    if (mac) fetched.set(mac, now);
    const terms = agreeTerms(packet.options, content.length);
    const said = pairs(terms.acknowledge);
    const blocks = `blocks of ${terms.blockSize}, window of ${terms.windowSize}`;
    return `${packet.kind} ${asked} · ${said.length > 0 ? `oack ${said.join(' ')}` : 'no oack'} · ${blocks}`;
  }

  return {
    async answer(packet) {
      const at = `${packet.at.toFixed(1).padStart(5)} s  `;
      const now = noon + packet.at * 1000;
      if (packet.from.address === serverAddress) return undefined;
      switch (packet.to.port) {
        case 67:
        case 4011:
          return at + answerDhcp(packet, now);
        case 69:
          return at + (await answerTftp(packet, now));
        default:
          return undefined;
      }
    },
  };
}

const pairs = (options: ReadonlyMap<string, string>) =>
  [...options].map(([name, value]) => `${name}=${value}`);

function describeMessage(client: DhcpClient): string {
  const from = client.relay ? ` through ${client.relay.giaddr}` : '';
  const port = client.port === undefined ? '' : ` port ${formatPort(client.port)}`;
  return `${client.messageType.toUpperCase()} of ${describeClient(client)}${from}${port}`;
}

const replies: Readonly<Record<number, string>> = { 2: 'OFFER', 5: 'ACK', 6: 'NAK' };

const names = new Map<number, string>(
  Object.entries(dhcpOption).map(([name, code]) => [code, name]),
);

function describeDecision(decision: DhcpDecision): readonly string[] {
  if (decision.kind === 'ignore') return [`no answer: ${decision.reason}`];
  const { packet, to, node, maxBytes } = decision;
  const type = packet.options.get(dhcpOption.messageType)?.[0] ?? 0;
  // What does not fit into the reply is not said: it is read as the client reads it.
  const sent = parseDhcpPacket(packDhcpPacket(packet, maxBytes));
  const options = sent.kind === 'packet' ? [...sent.packet.options.keys()] : [];
  const what = options.filter((code) => code !== dhcpOption.messageType && code !== dhcpOption.pad);
  return [
    `${replies[type] ?? type} ${packet.yiaddr} to ${to.address}:${to.port}`,
    node || 'no node',
    packet.file ? `loads ${packet.file}` : 'loads nothing',
    what.map((code) => names.get(code) ?? `option ${code}`).join(' '),
  ];
}
