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
):
  | { readonly ok: true; readonly options: Map<number, Uint8Array> }
  | { readonly ok: false; reason: string } {
  const options = new Map<number, Uint8Array>();
  const repeated = new Map<number, Uint8Array[]>();
  for (const area of areas) {
    let at = 0;
    while (at < area.length) {
      const code = area[at] ?? dhcpOption.end;
      at += 1;
      if (code === dhcpOption.pad) continue;
      if (code === dhcpOption.end) break;
      const length = area[at];
      if (length === undefined) return { ok: false, reason: `option ${code} has no length` };
      const left = area.length - at - 1;
      if (left < length) {
        return {
          ok: false,
          reason: `option ${code} claims ${length} bytes where ${left} are left`,
        };
      }
      const value = new Uint8Array(area.buffer, area.byteOffset + at + 1, length);
      const first = options.get(code);
      if (first === undefined) options.set(code, value);
      else {
        const values = repeated.get(code) ?? [first];
        values.push(value);
        repeated.set(code, values);
      }
      at += 1 + length;
    }
  }
  // Joined once: a datagram can hold twenty thousand parts of one option.
  for (const [code, values] of repeated) options.set(code, new Uint8Array(Buffer.concat(values)));
  return { ok: true, options };
}

/** One option after another, and the bytes that they take with the end mark. */
export interface OptionList {
  readonly options: readonly Option[];
  readonly bytes: number;
}

/** What goes to which place of a message; `file` and `sname` where they are overloaded. */
export interface PlacedOptions extends OptionList {
  readonly file?: OptionList;
  readonly sname?: OptionList;
}

/** Whether an answer without this option is none, or not for this client. */
function isEssential(code: number): boolean {
  switch (code) {
    case dhcpOption.messageType:
    case dhcpOption.serverId:
    case dhcpOption.leaseTime:
    case dhcpOption.subnetMask:
    case dhcpOption.bootFile:
    case dhcpOption.relayAgent:
      return true;
    default:
      return false;
  }
}

/** Bytes that the end mark and those options take which cannot be left out. */
export function leastRoom(options: DhcpOptions): number {
  let bytes = 1;
  options.forEach((value, code) => {
    if (isEssential(code)) bytes += packedSize(value);
  });
  return bytes;
}

/** Bytes that all of them and the end mark take. */
export function roomOfAll(options: DhcpOptions): number {
  let bytes = 1;
  options.forEach((value) => {
    bytes += packedSize(value);
  });
  return bytes;
}

/**
 * Which options stand where, so that they and the end mark take at most `room` bytes, which is less than all of them
 * need; values over 255 bytes are split (RFC 3396).
 * What does not fit goes into `file` and `sname` where these are free (option 52, RFC 2132 §9.3), else it is left
 * out, later options first; but never option 82, which goes last (RFC 3046 §2.2), nor what an answer needs.
 */
export function placeOptions(
  options: DhcpOptions,
  room: number,
  free: { readonly file?: number; readonly sname?: number } = {},
): PlacedOptions {
  const parts: Option[] = [];
  const others: Option[] = [];
  const tail: Option[] = [];
  for (const option of options) {
    const [code] = option;
    if (code === dhcpOption.relayAgent) tail.push(option);
    else (isEssential(code) ? parts : others).push(option);
  }
  parts.push(...others);
  const space = room - sizeOf(tail) - 1;
  const plain = fill(parts, space);
  const inFile = fill(fill(parts, space - overloadBytes).rest, Math.max(1, free.file ?? 0) - 1);
  const inSname = fill(inFile.rest, Math.max(1, free.sname ?? 0) - 1);
  const overload = (inFile.taken.length > 0 ? 1 : 0) + (inSname.taken.length > 0 ? 2 : 0);
  if (overload === 0) return listOf([...plain.taken, ...tail]);
  const [first, ...rest] = fill(parts, space - overloadBytes).taken;
  const mark: Option = [dhcpOption.overload, Uint8Array.of(overload)];
  return {
    ...listOf([...(first ? [first] : []), mark, ...rest, ...tail]),
    ...(overload & 1 ? { file: listOf(inFile.taken) } : {}),
    ...(overload & 2 ? { sname: listOf(inSname.taken) } : {}),
  };
}

const overloadBytes = 3;

type Option = readonly [code: number, value: Uint8Array];

function listOf(options: readonly Option[]): OptionList {
  return { options, bytes: sizeOf(options) + 1 };
}

/** As many of the parts as fit, in their order, and the rest. */
function fill(parts: readonly Option[], room: number) {
  const taken: Option[] = [];
  const rest: Option[] = [];
  let free = room;
  for (const part of parts) {
    const size = packedSize(part[1]);
    if (size > free) rest.push(part);
    else {
      taken.push(part);
      free -= size;
    }
  }
  return { taken, rest };
}

/** With code and length before each 255 bytes. */
function packedSize({ length }: Uint8Array): number {
  return length <= 255 ? length + 2 : length + 2 * Math.ceil(length / 255);
}

function sizeOf(options: readonly Option[]): number {
  let bytes = 0;
  for (const option of options) bytes += packedSize(option[1]);
  return bytes;
}

/** Writes the options and the end mark into `bytes`, the first one at `at`. */
export function writeOptions({ options }: OptionList, bytes: Uint8Array, at: number): void {
  let end = at;
  for (const [code, value] of options) end = writeOption(code, value, bytes, end);
  bytes[end] = dhcpOption.end;
}

/** Writes all of them in the order of {@link placeOptions} and the end mark into `bytes`, the first one at `at`. */
export function writeAllOptions(options: DhcpOptions, bytes: Uint8Array, at: number): void {
  let end = at;
  options.forEach((value, code) => {
    if (isEssential(code) && code !== dhcpOption.relayAgent) {
      end = writeOption(code, value, bytes, end);
    }
  });
  options.forEach((value, code) => {
    if (!isEssential(code)) end = writeOption(code, value, bytes, end);
  });
  const agent = options.get(dhcpOption.relayAgent);
  if (agent) end = writeOption(dhcpOption.relayAgent, agent, bytes, end);
  bytes[end] = dhcpOption.end;
}

/** Gives back where the next one begins. */
function writeOption(code: number, value: Uint8Array, bytes: Uint8Array, start: number): number {
  let at = start;
  // Most are of a few bytes, for which a copy in the engine takes longer than this loop.
  if (value.length <= 16) {
    bytes[at] = code;
    bytes[at + 1] = value.length;
    at += 2;
    for (const byte of value) bytes[at++] = byte;
    return at;
  }
  let from = 0;
  do {
    const piece = value.length > 255 ? value.subarray(from, from + 255) : value;
    bytes[at] = code;
    bytes[at + 1] = piece.length;
    bytes.set(piece, at + 2);
    at += 2 + piece.length;
    from += 255;
  } while (from < value.length);
  return at;
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
  if (value?.length !== 4) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = value;
  return ipv4FromNumber(((a << 24) | (b << 16) | (c << 8) | d) >>> 0);
}

/** Two bytes, big-endian; undefined where there are fewer. */
export function readUint16(value: Uint8Array | undefined): number | undefined {
  return value && value.length >= 2 ? ((value[0] ?? 0) << 8) | (value[1] ?? 0) : undefined;
}

/** Text up to the first NUL: some firmware counts the NUL into the length, some does not. */
export function readText(value: Uint8Array | undefined): string | undefined {
  if (!value) return undefined;
  if (value[0] === 0) return '';
  const end = value.indexOf(0);
  return bufferOf(value).toString('latin1', 0, end < 0 ? value.length : end);
}

/** One or more addresses as bytes. */
export function ipv4Bytes(...addresses: readonly Ipv4[]): Uint8Array {
  const bytes = new Uint8Array(4 * addresses.length);
  let at = 0;
  for (const address of addresses) {
    writeUint32(bytes, at, ipv4ToNumber(address));
    at += 4;
  }
  return bytes;
}

/** An unsigned 32-bit number as bytes, such as seconds of a lease. */
export function uint32Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeUint32(bytes, 0, value);
  return bytes;
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Text as bytes, without a NUL. */
export function textBytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

/** A view, not a copy. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
