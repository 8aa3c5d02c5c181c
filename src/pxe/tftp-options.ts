import { largestBlock, type TftpOptions, type TftpRequest, tftpError } from './tftp-packet.ts';

/** How one file is sent. */
export interface TransferTerms {
  /** Bytes of content in every block but the last. */
  readonly blockSize: number;
  /** Blocks sent before an acknowledgement is awaited. */
  readonly windowSize: number;
  /** Milliseconds before a block is sent again, where the client asked for them; else measured. */
  readonly timeout: number | undefined;
  /** What the OACK says; empty where there is none. */
  readonly acknowledge: TftpOptions;
}

export interface TransferLimits {
  /** Largest block, so that a datagram is not fragmented on its way. */
  readonly blockSize: number;
  /** Largest window in blocks. */
  readonly windowSize: number;
  /** Largest window in bytes: more would overrun a client's receive buffer. */
  readonly windowBytes: number;
}

/** 1468 = Ethernet's 1500 less 20 (IPv4), 8 (UDP) and 4 (TFTP). */
export const defaultTransferLimits: TransferLimits = {
  blockSize: 1468,
  windowSize: 64,
  windowBytes: 128 * 1024,
};

/** Longer ones would let a client that is gone hold its transfer for minutes. */
const longestTimeoutSeconds = 30;

export type RequestDecision =
  | {
      readonly kind: 'serve';
      /** Without leading slashes. */
      readonly file: string;
    }
  | { readonly kind: 'refuse'; readonly code: number; readonly message: string };

/** Whether a request may be served at all, with the error of RFC 1350 where not. */
export function decideRequest(request: TftpRequest): RequestDecision {
  if (request.kind === 'wrq') {
    return refuse(tftpError.accessViolation, 'this server only gives files, it takes none');
  }
  if (request.mode === 'netascii') {
    return refuse(tftpError.notDefined, 'netascii is not served: ask in octet (binary) mode');
  }
  if (request.mode !== 'octet') {
    return refuse(tftpError.illegalOperation, 'unknown mode: ask in octet (binary) mode');
  }
  return { kind: 'serve', file: request.file.replace(/^\/+/, '') };
}

function refuse(code: number, message: string): RequestDecision {
  return { kind: 'refuse', code, message };
}

/**
 * Terms for a file of `size` bytes: blksize (RFC 2348), tsize and timeout (RFC 2349), windowsize (RFC 7440).
 * An option that is unknown or has a value outside its RFC's range is left out, as RFC 2347 allows.
 */
export function agreeTerms(
  asked: TftpOptions,
  size: number,
  limits: TransferLimits = defaultTransferLimits,
): TransferTerms {
  const acknowledge = new Map<string, string>();
  let blockSize = 512;
  let windowSize = 1;
  let timeout: number | undefined;

  const askedBlock = numberIn(asked.get('blksize'), 8, largestBlock);
  if (askedBlock !== undefined) blockSize = Math.min(askedBlock, limits.blockSize);

  const askedWindow = numberIn(asked.get('windowsize'), 1, 65_535);
  if (askedWindow !== undefined) {
    const fitting = Math.max(1, Math.floor(limits.windowBytes / blockSize));
    windowSize = Math.min(askedWindow, limits.windowSize, fitting);
  }

  const askedTimeout = numberIn(asked.get('timeout'), 1, longestTimeoutSeconds);
  if (askedTimeout !== undefined) timeout = askedTimeout * 1000;

  // In the order of the request: there are ROMs that read the answer by position.
  for (const name of asked.keys()) {
    if (name === 'blksize' && askedBlock !== undefined) acknowledge.set(name, `${blockSize}`);
    if (name === 'windowsize' && askedWindow !== undefined) acknowledge.set(name, `${windowSize}`);
    if (name === 'timeout' && askedTimeout !== undefined) acknowledge.set(name, `${askedTimeout}`);
    if (name === 'tsize') acknowledge.set(name, `${size}`);
  }
  return { blockSize, windowSize, timeout, acknowledge };
}

function numberIn(text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined || !/^\d{1,9}$/.test(text)) return undefined;
  const value = Number(text);
  return value >= least && value <= most ? value : undefined;
}
