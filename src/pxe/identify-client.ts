import type { MachineIdentity } from '../boot/identify-machine.ts';
import type { SwitchPort } from '../boot/switch-port.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import { type MacAddress, macFromBytes } from '../net/mac.ts';
import type { ClientVia } from '../state/event.ts';
import {
  type DhcpOptions,
  dhcpOption,
  OptionTable,
  parseSubOptions,
  readIpv4,
  readText,
  readUint16,
} from './dhcp-options.ts';
import { type DhcpPacket, defaultMaxBytes, noAddress } from './dhcp-packet.ts';
import { architectures } from './loader-by-client.ts';

/** What a client may ask of a DHCP server (RFC 2131 §3.1 table 2). */
export type ClientMessage = 'discover' | 'request' | 'decline' | 'release' | 'inform';

/** Everything that a DHCP client says of itself, read once. */
export interface DhcpClient {
  readonly messageType: ClientMessage;
  readonly mac: MacAddress;
  /** Lower case with dashes, as `dmidecode` shows it. Some NICs send none. */
  readonly uuid?: string;
  /** Number of its architecture (option 93, else from its vendor class). */
  readonly arch?: number;
  readonly firmware?: 'bios' | 'uefi';
  /**
   * Who speaks: our own loader, another iPXE (a NIC's ROM), HTTP Boot firmware, PXE firmware, or an
   * operating system.
   */
  readonly via: ClientVia;
  /** Version, such as `1.21.1`, and feature numbers of an iPXE. */
  readonly ipxe?: { readonly version?: string; readonly features: readonly number[] };
  readonly xid: number;
  readonly secs: number;
  readonly broadcast: boolean;
  /** Its address, where it already has one. */
  readonly ciaddr: Ipv4;
  readonly requested?: Ipv4;
  readonly serverId?: Ipv4;
  readonly hostName?: string;
  readonly relay?: Relay;
  /** Where its card is plugged in, by the word of a relay or of a switch that looks on (DHCP snooping). */
  readonly port?: SwitchPort;
  /** Bytes of the biggest reply it takes, without IP and UDP headers. */
  readonly maxBytes: number;
  readonly htype: number;
  readonly chaddr: Uint8Array;
  /** Options that go back as they came: 61 (RFC 6842), 82 (RFC 3046), 97 (RFC 4578). */
  readonly echo: DhcpOptions;
}

/** The relay that passed the message on. */
export interface Relay {
  readonly giaddr: Ipv4;
  /** The subnet that the client is on, where the relay names it (RFC 3527). */
  readonly link?: Ipv4;
  /** The server identifier that the relay wants clients to see (RFC 5107). */
  readonly serverId?: Ipv4;
}

export type IdentifiedClient =
  | { readonly kind: 'client'; readonly client: DhcpClient }
  | { readonly kind: 'refusal'; readonly reason: string };

const messageTypes: Readonly<Record<number, ClientMessage>> = {
  1: 'discover',
  3: 'request',
  4: 'decline',
  7: 'release',
  8: 'inform',
};

const noMac = '00:00:00:00:00:00';
const everyMac = 'ff:ff:ff:ff:ff:ff';

/** Who sent this message; refuses what no Ethernet DHCP client sends. */
export function identifyClient(packet: DhcpPacket): IdentifiedClient {
  const { options } = packet;
  if (packet.op !== 'request') return refusal('it is a reply, not a request');
  if (packet.htype !== 1 || packet.hlen !== 6) {
    return refusal(`hardware type ${packet.htype} with ${packet.hlen} bytes is not Ethernet`);
  }
  const mac = macFromBytes(packet.chaddr);
  if (!mac || mac === noMac || mac === everyMac) return refusal('its hardware address is empty');
  if (((packet.chaddr[0] ?? 0) & 1) === 1) {
    return refusal(`its hardware address ${mac} is a group address`);
  }
  const type = options.get(dhcpOption.messageType);
  const messageType = type?.length === 1 ? messageTypes[type[0] ?? 0] : undefined;
  if (!type) return refusal('it is BOOTP without DHCP');
  if (!messageType) {
    const said = `${type.subarray(0, 4).join(' ')}${type.length > 4 ? ' …' : ''}`;
    return refusal(`message type ${said} is not a client's`);
  }

  const vendorClass = readText(options.get(dhcpOption.vendorClass)) ?? '';
  const ipxe = readIpxe(options.get(dhcpOption.ipxe));
  const arch = readArchitecture(options.get(dhcpOption.architecture), vendorClass);
  const firmware = arch === undefined ? undefined : architectures[arch]?.firmware;
  const via = readVia(options.get(dhcpOption.userClass), vendorClass, ipxe !== undefined);
  const uuid = readUuid(options.get(dhcpOption.machineId));
  const requested = readIpv4(options.get(dhcpOption.requestedAddress));
  const serverId = readIpv4(options.get(dhcpOption.serverId));
  const hostName = readText(options.get(dhcpOption.hostName));
  const agentOption = options.get(dhcpOption.relayAgent);
  const agent = agentOption && parseSubOptions(agentOption);
  const relay = readRelay(packet, agent);
  const port = agent && readPort(agent);
  const maxMessage = readUint16(options.get(dhcpOption.maxMessageSize)) ?? 0;
  const client: { -readonly [K in keyof DhcpClient]: DhcpClient[K] } = {
    messageType,
    mac,
    via,
    xid: packet.xid,
    secs: packet.secs,
    broadcast: packet.broadcast,
    ciaddr: packet.ciaddr,
    // Some firmware claims 64 KiB; an Ethernet frame is the sane limit. A relay takes option 82 out again
    // before the client sees the answer (RFC 3046 §2.1).
    maxBytes: Math.min(
      Math.max(maxMessage - 28, defaultMaxBytes) + (relay ? agentBytes(options) : 0),
      1472,
    ),
    htype: packet.htype,
    chaddr: packet.chaddr,
    echo: readEcho(options),
  };
  if (uuid !== undefined) client.uuid = uuid;
  if (arch !== undefined) client.arch = arch;
  if (firmware !== undefined) client.firmware = firmware;
  if (ipxe !== undefined) client.ipxe = ipxe;
  if (requested !== undefined) client.requested = requested;
  if (serverId !== undefined) client.serverId = serverId;
  if (hostName !== undefined) client.hostName = hostName;
  if (relay !== undefined) client.relay = relay;
  if (port !== undefined) client.port = port;
  return { kind: 'client', client };
}

const echoed = [dhcpOption.clientId, dhcpOption.machineId, dhcpOption.relayAgent] as const;

function readEcho(options: DhcpOptions): DhcpOptions {
  const echo = new OptionTable();
  for (const code of echoed) {
    const value = options.get(code);
    if (value) echo.set(code, value);
  }
  return echo;
}

function refusal(reason: string): IdentifiedClient {
  return { kind: 'refusal', reason };
}

/** One line that names the client to an operator: `iPXE 1.21.1 (BIOS)`. */
export function describeClient(client: DhcpClient): string {
  const platform = client.arch === undefined ? undefined : architectures[client.arch]?.name;
  const where = platform ? ` (${platform})` : '';
  switch (client.via) {
    case 'rolecall':
      return `rolecall's loader${where}`;
    case 'ipxe':
      return `iPXE${client.ipxe?.version ? ` ${client.ipxe.version}` : ''}${where}`;
    case 'http':
      return `HTTP Boot firmware${where}`;
    case 'pxe':
      return `PXE firmware${where}`;
    case 'os':
      return 'operating system';
  }
}

function readVia(
  userClass: Uint8Array | undefined,
  vendorClass: string,
  hasIpxeOptions: boolean,
): ClientVia {
  const classes = userClass ? readUserClasses(userClass) : [];
  if (classes.includes('rolecall')) return 'rolecall';
  if (classes.includes('iPXE') || classes.includes('gPXE') || hasIpxeOptions) return 'ipxe';
  if (vendorClass.startsWith('HTTPClient')) return 'http';
  if (vendorClass.startsWith('PXEClient')) return 'pxe';
  return 'os';
}

/** User classes: RFC 3004 says length-prefixed texts, iPXE and many others send one bare text. */
function readUserClasses(value: Uint8Array): readonly string[] {
  const bare = Buffer.from(value).toString('latin1');
  const listed: string[] = [];
  for (let at = 0; at < value.length; ) {
    const length = value[at] ?? 0;
    const end = at + 1 + length;
    if (length === 0 || end > value.length) return [bare];
    listed.push(bare.slice(at + 1, end));
    at = end;
  }
  return [bare, ...listed];
}

function readArchitecture(value: Uint8Array | undefined, vendorClass: string): number | undefined {
  if (value === undefined && vendorClass === '') return undefined;
  const listed: number[] = [];
  for (let at = 0; value && at + 1 < value.length; at += 2) {
    listed.push(((value[at] ?? 0) << 8) | (value[at + 1] ?? 0));
  }
  const inClass = /^(?:PXE|HTTP)Client:Arch:(\d{5})/.exec(vendorClass)?.[1];
  const all = inClass === undefined ? listed : [...listed, Number(inClass)];
  return all.find((arch) => architectures[arch]?.loaders !== undefined) ?? all[0];
}

/**
 * The system UUID as text. PXE sends the bytes of the SMBIOS table, whose first three fields are
 * little-endian; iPXE, which knows it in network order, turns it round for this option.
 */
function readUuid(value: Uint8Array | undefined): string | undefined {
  if (value?.length !== 17 || value[0] !== 0) return undefined;
  const bytes = Buffer.from(value.subarray(1));
  if (bytes.every((b) => b === 0) || bytes.every((b) => b === 255)) return undefined;
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

const ipxeVersion = 0xeb;

function readIpxe(value: Uint8Array | undefined): DhcpClient['ipxe'] {
  if (!value) return undefined;
  const sub = parseSubOptions(value);
  const version = sub.get(ipxeVersion);
  return {
    ...(version?.length === 3 ? { version: version.join('.') } : {}),
    features: [...sub.keys()].filter((code) => code !== ipxeVersion),
  };
}

/** With its code and length, for every part of 255 bytes (RFC 3396). */
function agentBytes(options: DhcpOptions): number {
  const length = options.get(dhcpOption.relayAgent)?.length ?? 0;
  return length + 2 * Math.ceil(length / 255);
}

const relaySub = { circuitId: 1, remoteId: 2, linkSelection: 5, serverIdOverride: 11 } as const;

function readRelay(packet: DhcpPacket, sub: DhcpOptions | undefined): Relay | undefined {
  if (packet.giaddr === noAddress) return undefined;
  const link = readIpv4(sub?.get(relaySub.linkSelection));
  const serverId = readIpv4(sub?.get(relaySub.serverIdOverride));
  return {
    giaddr: packet.giaddr,
    ...(link === undefined ? {} : { link }),
    ...(serverId === undefined ? {} : { serverId }),
  };
}

function readPort(sub: DhcpOptions): SwitchPort | undefined {
  const circuit = sub.get(relaySub.circuitId);
  const remote = sub.get(relaySub.remoteId);
  if (!circuit?.length) return undefined;
  return {
    circuit: readAgentId(circuit),
    ...(remote?.length ? { remote: readAgentId(remote) } : {}),
  };
}

/** Makers fill both ids as they like (RFC 3046 §3.1): text, or numbers that are shown as hexadecimal digits. */
function readAgentId(value: Uint8Array): string {
  const text = Buffer.from(value).toString('latin1');
  return /^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/.test(text) ? text : Buffer.from(value).toString('hex');
}

/** What a client says of the machine it runs on. */
export function clientIdentity(client: DhcpClient): MachineIdentity {
  return {
    mac: client.mac,
    ...(client.uuid === undefined ? {} : { uuid: client.uuid }),
    ...(client.port === undefined ? {} : { port: client.port }),
  };
}
