/** Options of a request or of its acknowledgement: lower-case name → value, in the order on the wire. */
export type TftpOptions = ReadonlyMap<string, string>;

/** A request to read or to write a file. */
export interface TftpRequest {
  readonly kind: 'rrq' | 'wrq';
  readonly file: string;
  /** Lower case: `octet`, `netascii`, `mail`, or what else the client wrote. */
  readonly mode: string;
  readonly options: TftpOptions;
}

export type TftpPacket =
  | TftpRequest
  | { readonly kind: 'data'; readonly block: number; readonly data: Uint8Array }
  | { readonly kind: 'ack'; readonly block: number }
  | { readonly kind: 'error'; readonly code: number; readonly message: string }
  | { readonly kind: 'oack'; readonly options: TftpOptions };

export type TftpParse =
  | { readonly ok: true; readonly packet: TftpPacket }
  | {
      readonly ok: false;
      /** Whether the opcode said "read" or "write": such a sender waits for an answer. */
      readonly request: boolean;
      readonly reason: string;
    };

/** Error codes of RFC 1350 and, the last, RFC 2347. */
export const tftpError = {
  notDefined: 0,
  fileNotFound: 1,
  accessViolation: 2,
  diskFull: 3,
  illegalOperation: 4,
  unknownTransfer: 5,
  optionsRefused: 8,
} as const;

const opcodes = { rrq: 1, wrq: 2, data: 3, ack: 4, error: 5, oack: 6 } as const;

/** RFC 2348: the largest block an option can ask for. */
export const largestBlock = 65_464;

/** RFC 2347 allows 512 bytes; requests that wait are kept, so they must not be long. */
const longestRequest = 1024;

/**
 * Reads one datagram as a packet of RFC 1350 or RFC 2347, or says why it is none; never throws.
 * `data` is a view of the datagram, not a copy.
 */
export function parseTftpPacket(bytes: Uint8Array): TftpParse {
  if (bytes.length < 4) return refuse('shorter than any packet');
  const opcode = wordAt(bytes, 0);
  switch (opcode) {
    case opcodes.rrq:
      return parseRequest('rrq', bytes);
    case opcodes.wrq:
      return parseRequest('wrq', bytes);
    case opcodes.data:
      return bytes.length - 4 > largestBlock
        ? refuse('data longer than the largest block')
        : accept({ kind: 'data', block: wordAt(bytes, 2), data: bytes.subarray(4) });
    case opcodes.ack:
      // Some ROMs pad an ACK up to the smallest Ethernet frame.
      return accept({ kind: 'ack', block: wordAt(bytes, 2) });
    case opcodes.error:
      return accept({ kind: 'error', code: wordAt(bytes, 2), message: errorText(bytes) });
    case opcodes.oack: {
      const strings = zeroEndedStrings(bytes.subarray(2));
      return strings ? accept({ kind: 'oack', options: pairs(strings) }) : refuse('no final zero');
    }
    default:
      return refuse(`no packet has opcode ${opcode}`);
  }
}

function parseRequest(kind: 'rrq' | 'wrq', bytes: Uint8Array): TftpParse {
  if (bytes.length > longestRequest)
    return refuse('request longer than any name and options', true);
  const strings = zeroEndedStrings(bytes.subarray(2));
  if (!strings) return refuse('no zero after the last string of the request', true);
  const [file, mode, ...rest] = strings;
  if (!file) return refuse('request without a file name', true);
  if (!mode) return refuse('request without a mode', true);
  return accept({ kind, file, mode: mode.toLowerCase(), options: pairs(rest) });
}

function accept(packet: TftpPacket): TftpParse {
  return { ok: true, packet };
}

function refuse(reason: string, request = false): TftpParse {
  return { ok: false, request, reason };
}

function wordAt(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}

/** The strings, or undefined where the last one has no zero byte after it. */
function zeroEndedStrings(bytes: Uint8Array): string[] | undefined {
  if (bytes.at(-1) !== 0) return undefined;
  return toText(bytes.subarray(0, -1)).split('\0');
}

/** An error message may lack its zero: the client gives up all the same. */
function errorText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0, 4);
  return toText(bytes.subarray(4, end === -1 ? bytes.length : end));
}

/**
 * RFC 2347: names in any case, each at most once; of two the first counts.
 * Empty names are padding that some ROMs send; a name without a value says nothing.
 */
function pairs(strings: readonly string[]): TftpOptions {
  const options = new Map<string, string>();
  for (let i = 0; i + 1 < strings.length; i += 2) {
    const name = (strings[i] ?? '').toLowerCase();
    if (name !== '' && !options.has(name)) options.set(name, strings[i + 1] ?? '');
  }
  return options;
}

/** Every packet as it goes on the wire; a string with a zero byte in it ends there. */
export function encodeTftpPacket(packet: TftpPacket): Buffer {
  switch (packet.kind) {
    case 'rrq':
    case 'wrq':
      return encodeStrings(opcodes[packet.kind], [
        packet.file,
        packet.mode,
        ...[...packet.options].flat(),
      ]);
    case 'oack':
      return encodeStrings(opcodes.oack, [...packet.options].flat());
    case 'data':
      return Buffer.concat([dataHeader(packet.block), packet.data]);
    case 'ack':
      return words(opcodes.ack, packet.block);
    case 'error':
      return Buffer.concat([words(opcodes.error, packet.code), zeroEnded(packet.message)]);
  }
}

/** The four bytes before a DATA packet's content; `block` counts modulo 65536. */
export function dataHeader(block: number): Buffer {
  return words(opcodes.data, block);
}

/** A name or message from the wire for a log line: printable ASCII, at most 128 characters. */
export function printableText(text: string): string {
  return text.slice(0, 128).replace(/[^\x20-\x7e]/g, '?');
}

function encodeStrings(opcode: number, strings: readonly string[]): Buffer {
  return Buffer.concat([words(opcode), ...strings.map(zeroEnded)]);
}

function words(...values: number[]): Buffer {
  return Buffer.from(values.flatMap((value) => [(value >> 8) & 255, value & 255]));
}

// Latin-1 maps every byte to one character and back, so a name the server does not know stays as it was sent.
function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function zeroEnded(text: string): Buffer {
  return Buffer.from(`${text.split('\0', 1)[0] ?? ''}\0`, 'latin1');
}
