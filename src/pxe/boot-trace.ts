import { grubConfigPath, scriptPath } from '../boot/boot-paths.ts';
import type { MacAddress } from '../net/mac.ts';
import { dhcpOption, readIpv4 } from './dhcp-options.ts';
import { noAddress, parseDhcpPacket } from './dhcp-packet.ts';
import type { MachinePacket, WirePacket } from './wire-packet.ts';

export interface TraceLimits {
  /** Machines that came further than a DISCOVER. */
  readonly machines: number;
  /** Machines of which nothing but DISCOVERs came: a flood of made-up addresses ends here. */
  readonly strangers: number;
  /** Packets of one machine; beyond them the oldest of the middle are dropped. */
  readonly packets: number;
  /** Bytes of all that is kept, with what each packet costs besides its content. */
  readonly bytes: number;
  /** Client addresses whose machine is known. */
  readonly addresses: number;
}

export const defaultTraceLimits: TraceLimits = {
  machines: 4096,
  strangers: 512,
  packets: 200,
  bytes: 32 * 1024 * 1024,
  addresses: 8192,
};

/** What was kept of one boot; good until the next packet is noted. */
export interface TracedBoot {
  readonly machine: MacAddress;
  /** In the order in which they came. */
  readonly packets: readonly MachinePacket[];
  /** Packets between the first and the last ones that are not kept. */
  readonly dropped: number;
}

/** The packets of each machine's last boot, in memory and bounded. */
export interface BootTrace {
  note(packet: WirePacket): void;
  /** undefined where no packet of a boot was seen. */
  of(machine: MacAddress): TracedBoot | undefined;
  /** Every boot that is kept, the one that spoke last at the end. */
  boots(): readonly TracedBoot[];
}

interface Kept {
  readonly packets: MachinePacket[];
  dropped: number;
  bytes: number;
  /** Whether all of them are DISCOVERs and OFFERs. */
  asking: boolean;
}

/** A packet's objects in memory, roughly. */
const overhead = 512;

/** Nothing that is kept whole is longer than an Ethernet frame. */
const frame = 1500;

/** Of a boot with more packets than may be kept, the first ones tell how it began. */
const beginning = 100;

/** Firmware repeats its DISCOVER for about a minute (4, 8, 16, 32 s in the PXE specification); a longer pause is another try. */
const sameTry = 120_000;

/** A trace that holds at most what `limits` say; whoever spoke longest ago goes first, and strangers before others. */
export function createBootTrace(limits: Partial<TraceLimits> = {}): BootTrace {
  const most = { ...defaultTraceLimits, ...limits };
  const strangers = new Map<MacAddress, Kept>();
  const machines = new Map<MacAddress, Kept>();
  const machineAt = new Map<string, MacAddress>();
  let bytes = 0;

  function note(packet: WirePacket): void {
    const machine = packet.machine ?? machineAt.get(packet.remote.address);
    if (machine === undefined) return;
    const before = machines.get(machine) ?? strangers.get(machine);
    if (packet.protocol === 'dhcp' && packet.via !== 'os') noteAddress(packet, machine);
    if (packet.protocol === 'http') remember(packet.remote.address, machine);
    const fresh = beginsBoot(packet, before);
    if (!before && !fresh) return;
    const kept = fresh ? { packets: [], dropped: 0, bytes: 0, asking: true } : (before as Kept);
    if (isChatter(packet, kept.packets)) return;
    forget(machine);
    keep(kept, { ...packet, machine, bytes: new Uint8Array(packet.bytes.subarray(0, frame)) });
    (kept.asking ? strangers : machines).set(machine, kept);
    bytes += kept.bytes;
    evict();
  }

  function noteAddress(packet: WirePacket, machine: MacAddress): void {
    const address = addressIn(packet);
    if (address !== undefined) remember(address, machine);
  }

  function remember(address: string, machine: MacAddress): void {
    machineAt.delete(address);
    machineAt.set(address, machine);
    trim(machineAt, most.addresses);
  }

  function keep(kept: Kept, packet: MachinePacket): void {
    kept.packets.push(packet);
    kept.bytes += packet.bytes.length + overhead;
    kept.asking &&= isAsking(packet);
    if (kept.packets.length <= most.packets) return;
    const [gone] = kept.packets.splice(Math.min(beginning, most.packets >> 1), 1);
    kept.bytes -= (gone?.bytes.length ?? 0) + overhead;
    kept.dropped += 1;
  }

  function forget(machine: MacAddress): void {
    for (const some of [machines, strangers]) {
      bytes -= some.get(machine)?.bytes ?? 0;
      some.delete(machine);
    }
  }

  function evict(): void {
    for (const [some, limit] of [
      [strangers, most.strangers],
      [machines, most.machines],
    ] as const) {
      for (const machine of some.keys()) {
        if (some.size <= limit && bytes <= most.bytes) break;
        forget(machine);
      }
    }
  }

  function traced(machine: MacAddress, { packets, dropped }: Kept): TracedBoot {
    return { machine, packets, dropped };
  }

  return {
    note,
    of(machine) {
      const kept = machines.get(machine) ?? strangers.get(machine);
      return kept && traced(machine, kept);
    },
    boots: () => [...strangers, ...machines].map(([machine, kept]) => traced(machine, kept)),
  };
}

function trim<K>(map: Map<K, unknown>, limit: number): void {
  for (const key of map.keys()) {
    if (map.size <= limit) return;
    map.delete(key);
  }
}

/** Whether a packet is the first of another boot of its machine. */
function beginsBoot(packet: WirePacket, before: Kept | undefined): boolean {
  if (packet.direction !== 'in') return false;
  // A server that was started meanwhile sees the rest of a boot.
  if (!before) return packet.protocol === 'dhcp' ? packet.via !== 'os' : packet.protocol === 'http';
  if (packet.protocol !== 'dhcp' || typeOf(packet) !== discover) return false;
  const last = before.packets.at(-1);
  const asksAgain = before.asking && packet.at - (last?.at ?? 0) < sameTry;
  switch (packet.via) {
    case 'pxe':
    case 'http':
      return !asksAgain;
    case 'ipxe':
      // The ROM of a card is iPXE as our loader is: what asks after a loader was fetched is that loader.
      return (
        !asksAgain && (!before.packets.some(isLoaderFetch) || before.packets.some(isScriptFetch))
      );
    case 'rolecall':
    case 'os':
      return false;
  }
}

const discover = 1;
const offer = 2;

/** Header and magic cookie (RFC 2131 §2). */
const optionsAt = 240;

/** The message type alone, which a storm asks for thousands of times a second; 0 where there is none. */
function typeOf({ bytes }: WirePacket): number {
  for (let at = optionsAt; at + 2 < bytes.length; ) {
    const code = bytes[at];
    if (code === dhcpOption.messageType) return bytes[at + 2] ?? 0;
    if (code === dhcpOption.end) return 0;
    at += code === dhcpOption.pad ? 1 : 2 + (bytes[at + 1] ?? 0);
  }
  return 0;
}

function isAsking(packet: WirePacket): boolean {
  if (packet.protocol !== 'dhcp') return false;
  const type = typeOf(packet);
  return type === discover || type === offer;
}

function isLoaderFetch(packet: WirePacket): boolean {
  return packet.protocol === 'tftp' || (packet.protocol === 'http' && !isScriptFetch(packet));
}

function isScriptFetch(packet: WirePacket): boolean {
  if (packet.protocol !== 'http') return false;
  const { target } = packet.exchange;
  return target.startsWith(scriptPath) || target.startsWith(grubConfigPath);
}

/** What a running node says again and again, and an operating system that keeps its lease. */
function isChatter(packet: WirePacket, before: readonly WirePacket[]): boolean {
  if (packet.protocol === 'http') return packet.exchange.report?.stage === 'alive';
  const isUp = before.some((p) => p.protocol === 'http' && p.exchange.report?.stage === 'ready');
  return packet.protocol === 'dhcp' && packet.via === 'os' && isUp;
}

/** The address that this message shows its machine to have or to take. */
function addressIn(packet: WirePacket): string | undefined {
  const type = typeOf(packet);
  if (type === discover || type === offer) return undefined;
  const parsed = parseDhcpPacket(packet.bytes);
  if (parsed.kind === 'refusal') return undefined;
  const { yiaddr, ciaddr, options } = parsed.packet;
  // Also the address that another DHCP server gives it, which its REQUEST to everyone names.
  if (type === 3 && ciaddr === noAddress) return readIpv4(options.get(dhcpOption.requestedAddress));
  if (type === 5 && yiaddr !== noAddress) return yiaddr;
  return ciaddr === noAddress ? undefined : ciaddr;
}
