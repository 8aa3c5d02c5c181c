import { macToBytes } from '../../../src/net/mac.ts';
import { ipv4Bytes, textBytes } from '../../../src/pxe/dhcp-options.ts';
import { type DhcpPacket, noAddress } from '../../../src/pxe/dhcp-packet.ts';
import { type DhcpClient, identifyClient } from '../../../src/pxe/identify-client.ts';
import { ip, web1Mac } from './a-dhcp-site.ts';

const numbers = { discover: 1, request: 3, decline: 4, release: 7, inform: 8 } as const;

export interface Said {
  readonly mac?: string;
  readonly type?: keyof typeof numbers;
  readonly ciaddr?: string;
  readonly giaddr?: string;
  readonly requested?: string;
  readonly serverId?: string;
  readonly broadcast?: boolean;
  /** Text or bytes by option number. */
  readonly options?: Readonly<Record<number, string | Uint8Array>>;
}

/** A client's message; web1's DISCOVER where nothing is said. */
export function message(said: Said = {}): DhcpPacket {
  const hardware = macToBytes((said.mac ?? web1Mac) as typeof web1Mac);
  const chaddr = new Uint8Array(16);
  chaddr.set(hardware);
  const address = (text: string | undefined) => (text === undefined ? noAddress : ip(text));
  const extra = Object.entries(said.options ?? {}).map(
    ([code, value]) =>
      [Number(code), typeof value === 'string' ? textBytes(value) : value] as const,
  );
  return {
    op: 'request',
    htype: 1,
    hlen: 6,
    hops: 0,
    xid: 0x12345678,
    secs: 4,
    broadcast: said.broadcast ?? false,
    ciaddr: address(said.ciaddr),
    yiaddr: noAddress,
    siaddr: noAddress,
    giaddr: address(said.giaddr),
    chaddr,
    sname: '',
    file: '',
    options: new Map<number, Uint8Array>([
      [53, Uint8Array.of(numbers[said.type ?? 'discover'])],
      ...(said.requested === undefined ? [] : [[50, ipv4Bytes(ip(said.requested))] as const]),
      ...(said.serverId === undefined ? [] : [[54, ipv4Bytes(ip(said.serverId))] as const]),
      ...extra,
    ]),
  };
}

/** Who says it; fails where it is refused. */
export function client(said: Said = {}): DhcpClient {
  const identified = identifyClient(message(said));
  if (identified.kind === 'refusal') throw new Error(identified.reason);
  return identified.client;
}

const bios = { 60: 'PXEClient:Arch:00000:UNDI:002001', 93: Uint8Array.of(0, 0) };
const uefi = { 60: 'PXEClient:Arch:00007:UNDI:003001', 93: Uint8Array.of(0, 7) };

/** Options by which the clients of a boot are known. */
export const speaker = {
  bios,
  uefi,
  http: { 60: 'HTTPClient:Arch:00016:UNDI:003001', 93: Uint8Array.of(0, 16) },
  ipxe: { ...bios, 77: 'iPXE' },
  rolecall: { ...bios, 77: 'rolecall' },
} as const;
