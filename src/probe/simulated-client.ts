import type { Ipv4 } from '../net/ipv4.ts';
import { type MacAddress, macFromBytes, macToBytes } from '../net/mac.ts';
import {
  dhcpOption,
  ipv4Bytes,
  packSubOptions,
  readIpv4,
  readText,
  textBytes,
} from '../pxe/dhcp-options.ts';
import { noAddress, packDhcpPacket, parseDhcpPacket } from '../pxe/dhcp-packet.ts';

/** Who a simulated machine is at this step of its boot. */
export const clientKinds = ['bios', 'uefi', 'uefi-http', 'ipxe', 'loader'] as const;
export type ClientKind = (typeof clientKinds)[number];

/** One machine on the wire. */
export interface SimulatedClient {
  readonly kind: ClientKind;
  readonly mac: MacAddress;
  /** Of one exchange: DISCOVER and REQUEST share it. */
  readonly xid: number;
  /** Sixteen bytes as SMBIOS has them; without them the client sends none, as some cards do. */
  readonly uuid?: Uint8Array;
  /** Seconds since it began. */
  readonly secs?: number;
  /** The address of the relay that it poses to be behind: answers come there, to port 67. */
  readonly giaddr?: Ipv4;
}

/** What a server's answer says, in the words of RFC 2131. */
export interface ServerAnswer {
  readonly type: 'offer' | 'ack' | 'nak';
  readonly xid: number;
  readonly mac: MacAddress | undefined;
  /** 0.0.0.0 where none is given, as a proxyDHCP server does. */
  readonly address: Ipv4;
  readonly serverId: Ipv4 | undefined;
  /** Where the boot file is fetched by TFTP; 0.0.0.0 where nothing is to be booted. */
  readonly nextServer: Ipv4;
  /** Boot file of the header's field, else of option 67; empty where there is none. */
  readonly file: string;
  readonly vendorClass: string;
  /** Whether option 43 is there, without which EDK2 takes "PXEClient" for a proxy and asks port 4011. */
  readonly hasVendorOptions: boolean;
  readonly leaseSeconds: number | undefined;
  /** What a NAK says. */
  readonly message: string;
}

interface Manner {
  /** Number of option 93. */
  readonly arch: number;
  /** Option 60 before the architecture. */
  readonly vendor: 'PXEClient' | 'HTTPClient';
  readonly undi: string;
  readonly userClass?: string;
}

/** What real ones send, as test/captures/dhcp has it. */
const manners: Readonly<Record<ClientKind, Manner>> = {
  bios: { arch: 0, vendor: 'PXEClient', undi: '002001' },
  uefi: { arch: 7, vendor: 'PXEClient', undi: '003001' },
  'uefi-http': { arch: 16, vendor: 'HTTPClient', undi: '003001' },
  ipxe: { arch: 0, vendor: 'PXEClient', undi: '002001', userClass: 'iPXE' },
  loader: { arch: 0, vendor: 'PXEClient', undi: '002001', userClass: 'rolecall' },
};

/** The DISCOVER of this client. */
export function discoverMessage(client: SimulatedClient): Uint8Array {
  return pack(client, 1, bootOptions(client));
}

/** The REQUEST that takes an offer (RFC 2131 §4.3.2, SELECTING). */
export function requestMessage(
  client: SimulatedClient,
  offer: { readonly address: Ipv4; readonly serverId: Ipv4 },
): Uint8Array {
  return pack(client, 3, [
    [dhcpOption.requestedAddress, ipv4Bytes(offer.address)],
    [dhcpOption.serverId, ipv4Bytes(offer.serverId)],
    ...bootOptions(client),
  ]);
}

/** Asks a boot server on port 4011 for its boot file, as EDK2 does after an offer of a proxy (PXE 2.1 §2.2.2). */
export function bootServerMessage(client: SimulatedClient, address: Ipv4): Uint8Array {
  return pack(client, 3, bootOptions(client), address);
}

/** Gives the address back (RFC 2131 §4.4.6); nobody answers. */
export function releaseMessage(
  client: SimulatedClient,
  lease: { readonly address: Ipv4; readonly serverId: Ipv4 },
): Uint8Array {
  return pack(client, 7, [[dhcpOption.serverId, ipv4Bytes(lease.serverId)]], lease.address);
}

const answers: Readonly<Record<number, ServerAnswer['type']>> = { 2: 'offer', 5: 'ack', 6: 'nak' };

/** Reads a server's answer; undefined where the bytes are none. */
export function readServerAnswer(bytes: Uint8Array): ServerAnswer | undefined {
  const parsed = parseDhcpPacket(bytes);
  if (parsed.kind === 'refusal' || parsed.packet.op !== 'reply') return undefined;
  const { packet } = parsed;
  const { options } = packet;
  const type = answers[options.get(dhcpOption.messageType)?.[0] ?? 0];
  if (!type) return undefined;
  const lease = options.get(dhcpOption.leaseTime);
  const text = (code: number) => readText(options.get(code)) ?? '';
  return {
    type,
    xid: packet.xid,
    mac: macFromBytes(packet.chaddr),
    address: packet.yiaddr,
    serverId: readIpv4(options.get(dhcpOption.serverId)),
    nextServer: packet.siaddr,
    file: packet.file || text(dhcpOption.bootFile),
    vendorClass: text(dhcpOption.vendorClass),
    hasVendorOptions: options.has(dhcpOption.vendorSpecific),
    leaseSeconds: lease?.length === 4 ? Buffer.from(lease).readUInt32BE() : undefined,
    message: text(dhcpOption.message),
  };
}

type Option = readonly [number, Uint8Array];

const noUuid = new Uint8Array(16);

function bootOptions({ kind, uuid = noUuid }: SimulatedClient): readonly Option[] {
  const { arch, vendor, undi, userClass } = manners[kind];
  const vendorClass = `${vendor}:Arch:${String(arch).padStart(5, '0')}:UNDI:${undi}`;
  return [
    [dhcpOption.maxMessageSize, Uint8Array.of(0x05, 0xc0)],
    [55, Uint8Array.of(1, 3, 6, 12, 15, 43, 54, 60, 66, 67, 175, 210)],
    [dhcpOption.vendorClass, textBytes(vendorClass)],
    [dhcpOption.architecture, Uint8Array.of(arch >> 8, arch & 255)],
    // UNDI 3.1 and its type, which RFC 4578 §2.2 wants of every PXE client.
    [94, Uint8Array.of(1, 3, 1)],
    ...(uuid === noUuid
      ? []
      : [[dhcpOption.machineId, Uint8Array.of(0, ...uuid)] satisfies Option]),
    ...(userClass === undefined
      ? []
      : [
          [dhcpOption.userClass, textBytes(userClass)] satisfies Option,
          // Version 1.21.1.
          [dhcpOption.ipxe, packSubOptions([[0xeb, Uint8Array.of(1, 21, 1)]])] satisfies Option,
        ]),
  ];
}

function pack(
  client: SimulatedClient,
  type: number,
  options: readonly Option[],
  ciaddr: Ipv4 = noAddress,
): Uint8Array {
  const chaddr = new Uint8Array(16);
  chaddr.set(macToBytes(client.mac));
  return packDhcpPacket({
    ...{ op: 'request', htype: 1, hlen: 6, xid: client.xid, secs: client.secs ?? 0 },
    hops: client.giaddr === undefined ? 0 : 1,
    // Nobody on this machine has the address yet, so an answer to it alone would not arrive.
    broadcast: ciaddr === noAddress,
    ...{ ciaddr, yiaddr: noAddress, siaddr: noAddress, giaddr: client.giaddr ?? noAddress },
    ...{ chaddr, sname: '', file: '' },
    options: new Map<number, Uint8Array>([
      [dhcpOption.messageType, Uint8Array.of(type)],
      ...options,
    ]),
  });
}
