import { type Ipv4, ipv4FromNumber, ipv4ToNumber } from '../net/ipv4.ts';

/** DHCP option numbers that this server reads or sends (RFC 2132, 3004, 3046, 4578, 5071, 5859; IANA's registry). */
export const dhcpOption = {
  pad: 0,
  subnetMask: 1,
  router: 3,
  dns: 6,
  hostName: 12,
  domainName: 15,
  broadcast: 28,
  ntp: 42,
  vendorSpecific: 43,
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  messageType: 53,
  serverId: 54,
  message: 56,
  maxMessageSize: 57,
  renewalTime: 58,
  rebindingTime: 59,
  vendorClass: 60,
  clientId: 61,
  tftpServer: 66,
  bootFile: 67,
  userClass: 77,
  relayAgent: 82,
  architecture: 93,
  machineId: 97,
  tftpServers: 150,
  ipxe: 175,
  pathPrefix: 210,
  end: 255,
} as const;

/** Options by number, in the order in which they came; RFC 3396 parts already joined. */
export type DhcpOptions = ReadonlyMap<number, Uint8Array>;

/**
 * Reads the option fields of one message in RFC 3396 order (options, then `file`, then `sname` where overloaded).
 * Pad bytes may stand between options; parts of one option are joined. Refuses an option that is cut off.
 */
export function parseOptions(
  areas: readonly Uint8Array[],
): { readonly ok: true; readonly options: DhcpOptions } | { readonly ok: false; reason: string } {
  const parts = new Map<number, Uint8Array[]>();
  for (const area of areas) {
    let at = 0;
    while (at < area.length) {
      const code = area[at] ?? dhcpOption.end;
      at += 1;
      if (code === dhcpOption.pad) continue;
      if (code === dhcpOption.end) break;
      const length = area[at];
      if (length === undefined) return { ok: false, reason: `option ${code} has no length` };
      const value = area.subarray(at + 1, at + 1 + length);
      if (value.length < length) {
        return {
          ok: false,
          reason: `option ${code} claims ${length} bytes where ${value.length} are left`,
        };
      }
      const before = parts.get(code);
      if (before) before.push(value);
      else parts.set(code, [value]);
      at += 1 + length;
    }
  }
  const options = new Map<number, Uint8Array>();
  for (const [code, values] of parts) {
    // Joined once: a datagram can hold twenty thousand parts of one option.
    const [only = new Uint8Array(), ...more] = values;
    options.set(code, more.length === 0 ? only : Buffer.concat(values));
  }
  return { ok: true, options };
}

/** The three places of a message that hold options; `file` and `sname` where they are overloaded. */
export interface PackedOptions {
  readonly options: Uint8Array;
  readonly file?: Uint8Array;
  readonly sname?: Uint8Array;
}

/** Without these an answer is none, or not for this client. */
const essential: ReadonlySet<number> = new Set([
  dhcpOption.messageType,
  dhcpOption.serverId,
  dhcpOption.leaseTime,
  dhcpOption.subnetMask,
  dhcpOption.bootFile,
  dhcpOption.relayAgent,
]);

/** Bytes that the end mark and those options take which cannot be left out. */
export function leastRoom(options: DhcpOptions): number {
  let bytes = 1;
  for (const [code, value] of options) {
    if (essential.has(code)) bytes += packOption(code, value).length;
  }
  return bytes;
}

/**
 * Packs options and the end mark into at most `room` bytes; values over 255 bytes are split (RFC 3396).
 * What does not fit goes into `file` and `sname` where these are free (option 52, RFC 2132 §9.3), else it is left
 * out, later options first; but never option 82, which goes last (RFC 3046 §2.2), nor what an answer needs.
 */
export function packOptions(
  options: DhcpOptions,
  room: number,
  free: { readonly file?: number; readonly sname?: number } = {},
): PackedOptions {
  const last = options.get(dhcpOption.relayAgent);
  const tail = last ? packOption(dhcpOption.relayAgent, last) : new Uint8Array();
  const mine = [...options].filter(([code]) => code !== dhcpOption.relayAgent);
  const parts = [
    ...mine.filter(([code]) => essential.has(code)),
    ...mine.filter(([code]) => !essential.has(code)),
  ].map(([code, value]) => packOption(code, value));
  const space = room - tail.length - 1;
  const plain = fill(parts, space);
  const closed = (inside: readonly Uint8Array[]) => Buffer.concat([...inside, end]);
  const inFile = fill(fill(parts, space - overloadBytes).rest, (free.file ?? 1) - 1);
  const inSname = fill(inFile.rest, (free.sname ?? 1) - 1);
  const overload = (inFile.taken.length > 0 ? 1 : 0) + (inSname.taken.length > 0 ? 2 : 0);
  if (plain.rest.length === 0 || overload === 0) {
    return { options: closed([...plain.taken, tail]) };
  }
  const [first = new Uint8Array(), ...others] = fill(parts, space - overloadBytes).taken;
  const mark = packOption(dhcpOption.overload, Uint8Array.of(overload));
  return {
    options: closed([first, mark, ...others, tail]),
    ...(overload & 1 ? { file: closed(inFile.taken) } : {}),
    ...(overload & 2 ? { sname: closed(inSname.taken) } : {}),
  };
}

const overloadBytes = 3;
const end = Uint8Array.of(dhcpOption.end);

/** As many of the parts as fit, in their order, and the rest. */
function fill(parts: readonly Uint8Array[], room: number) {
  const taken: Uint8Array[] = [];
  const rest: Uint8Array[] = [];
  let free = room;
  for (const part of parts) {
    if (part.length > free) rest.push(part);
    else {
      taken.push(part);
      free -= part.length;
    }
  }
  return { taken, rest };
}

function packOption(code: number, value: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 0;
  do {
    const piece = value.subarray(at, at + 255);
    parts.push(Uint8Array.of(code, piece.length), piece);
    at += 255;
  } while (at < value.length);
  return Buffer.concat(parts);
}

/** Sub-options of options 43, 82 and 175; reading stops at the first that is cut off. */
export function parseSubOptions(value: Uint8Array | undefined): DhcpOptions {
  const found = new Map<number, Uint8Array>();
  if (!value) return found;
  for (let at = 0; at + 1 < value.length; ) {
    const code = value[at] ?? 0;
    const length = value[at + 1] ?? 0;
    const end = at + 2 + length;
    // Option 43 may end with 255, and 0 pads (PXE 2.1 §2.4); in 82 and 175 both are plain numbers too rare to matter.
    if (code === dhcpOption.end || end > value.length) break;
    if (code === dhcpOption.pad) {
      at += 1;
      continue;
    }
    found.set(code, value.subarray(at + 2, end));
    at = end;
  }
  return found;
}

/** Packs sub-options, each at most 255 bytes long, without an end mark. */
export function packSubOptions(entries: readonly (readonly [number, Uint8Array])[]): Uint8Array {
  return Buffer.concat(
    entries.flatMap(([code, value]) => [Uint8Array.of(code, value.length), value]),
  );
}

/** Four bytes as an address; undefined where there are more or fewer. */
export function readIpv4(value: Uint8Array | undefined): Ipv4 | undefined {
  return value?.length === 4 ? ipv4FromNumber(view(value).getUint32(0)) : undefined;
}

/** Two bytes, big-endian; undefined where there are fewer. */
export function readUint16(value: Uint8Array | undefined): number | undefined {
  return value && value.length >= 2 ? view(value).getUint16(0) : undefined;
}

/** Text up to the first NUL: some firmware counts the NUL into the length, some does not. */
export function readText(value: Uint8Array | undefined): string | undefined {
  return value && Buffer.from(value).toString('latin1').split('\0', 1)[0];
}

/** One or more addresses as bytes. */
export function ipv4Bytes(...addresses: readonly Ipv4[]): Uint8Array {
  const bytes = Buffer.alloc(4 * addresses.length);
  for (const [i, address] of addresses.entries()) bytes.writeUInt32BE(ipv4ToNumber(address), 4 * i);
  return bytes;
}

/** An unsigned 32-bit number as bytes, such as seconds of a lease. */
export function uint32Bytes(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Text as bytes, without a NUL. */
export function textBytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
