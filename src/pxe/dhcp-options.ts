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

/** Options by number, in the order in which they came; RFC 3396 parts already joined. A map of them is one too. */
export interface DhcpOptions extends Iterable<readonly [code: number, value: Uint8Array]> {
  get(code: number): Uint8Array | undefined;
  has(code: number): boolean;
  keys(): Iterable<number>;
  forEach(visit: (value: Uint8Array, code: number) => void): void;
}

/**
 * The options of one message: ten or so, which are found sooner by going through them than by the hash that a Map
 * makes anew for each message.
 */
export class OptionTable implements DhcpOptions {
  readonly #codes: number[] = [];
  readonly #values: Uint8Array[] = [];

  get(code: number): Uint8Array | undefined {
    const at = this.#codes.indexOf(code);
    return at < 0 ? undefined : this.#values[at];
  }

  has(code: number): boolean {
    return this.#codes.includes(code);
  }

  keys(): Iterable<number> {
    return this.#codes.values();
  }

  /** What was there before keeps its place. */
  set(code: number, value: Uint8Array): this {
    const at = this.#codes.indexOf(code);
    if (at >= 0) this.#values[at] = value;
    else {
      this.#codes.push(code);
      this.#values.push(value);
    }
    return this;
  }

  /** Sets each of the others. */
  add(others: DhcpOptions): this {
    others.forEach((value, code) => void this.set(code, value));
    return this;
  }

  delete(code: number): void {
    const at = this.#codes.indexOf(code);
    if (at < 0) return;
    this.#codes.splice(at, 1);
    this.#values.splice(at, 1);
  }

  forEach(visit: (value: Uint8Array, code: number) => void): void {
    for (let at = 0; at < this.#codes.length; at += 1) {
      visit(this.#values[at] as Uint8Array, this.#codes[at] as number);
    }
  }

  *[Symbol.iterator](): IterableIterator<[code: number, value: Uint8Array]> {
    for (let at = 0; at < this.#codes.length; at += 1) {
      yield [this.#codes[at] as number, this.#values[at] as Uint8Array];
    }
  }
}

/**
 * Reads the option fields of one message in RFC 3396 order (options, then `file`, then `sname` where overloaded).
 * Pad bytes may stand between options; parts of one option are joined. Refuses an option that is cut off.
 */
export function parseOptions(
  areas: readonly Uint8Array[],
): { readonly ok: true; readonly options: OptionTable } | { readonly ok: false; reason: string } {
  const options = new OptionTable();
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

/** Sub-options of options 43, 82 and 175; reading stops at the first that is cut off. */
export function parseSubOptions(value: Uint8Array | undefined): DhcpOptions {
  const found = new OptionTable();
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
