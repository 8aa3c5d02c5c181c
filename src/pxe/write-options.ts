import { type DhcpOptions, dhcpOption } from './dhcp-options.ts';

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
