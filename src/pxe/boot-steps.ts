import { grubConfigPath, scriptPath } from '../boot/boot-paths.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import type { ClientVia } from '../state/event.ts';
import { dhcpOption, readIpv4, readText } from './dhcp-options.ts';
import { noAddress, parseDhcpPacket } from './dhcp-packet.ts';
import { parseTftpPacket, printableText } from './tftp-packet.ts';
import type { HttpExchange, TransferEnd, WirePacket } from './wire-packet.ts';

/** Who speaks: the machine's firmware, the loader that it fetched from here, or an operating system. */
export type Speaker = 'firmware' | 'loader' | 'os';

/** One packet of a boot by what it means for the boot. Times are milliseconds since the epoch. */
export type BootStep = { readonly at: number } & (
  | {
      readonly kind: 'dhcp-asked';
      readonly type: 'discover' | 'request' | 'release' | 'other';
      readonly speaker: Speaker;
      readonly via: ClientVia;
      /** 67, or 4011 where a boot server is asked. */
      readonly port: number;
      /** The server whose offer it takes. */
      readonly serverId: Ipv4 | undefined;
      readonly arch: number | undefined;
    }
  | {
      readonly kind: 'dhcp-answered';
      readonly type: 'offer' | 'ack' | 'nak' | 'other';
      readonly speaker: Speaker;
      readonly port: number;
      readonly serverId: Ipv4 | undefined;
      /** Whether it gives an address; a proxy's offer does not. */
      readonly givesAddress: boolean;
      readonly file: string;
    }
  | { readonly kind: 'tftp-asked'; readonly file: string }
  | { readonly kind: 'tftp-agreed' }
  | { readonly kind: 'tftp-refused'; readonly file: string; readonly message: string }
  | { readonly kind: 'tftp-ended'; readonly end: TransferEnd }
  | { readonly kind: 'http-asked'; readonly what: HttpWhat; readonly exchange: HttpExchange }
  | { readonly kind: 'http-answered'; readonly what: HttpWhat; readonly exchange: HttpExchange }
);

export type HttpWhat =
  | 'loader'
  | 'script'
  | 'kernel'
  | 'initramfs'
  | 'root'
  | 'overlay'
  | 'secrets'
  | 'report'
  | 'other';

/** The packets of a boot as steps; what says nothing of the boot's course is left out. */
export function bootSteps(packets: readonly WirePacket[]): readonly BootStep[] {
  const steps: BootStep[] = [];
  let isLoaderSent = false;
  let asked = '';
  for (const packet of packets) {
    const step = stepOf(packet, isLoaderSent, asked);
    if (!step) continue;
    steps.push(step);
    if (step.kind === 'tftp-asked') asked = step.file;
    isLoaderSent ||= sendsLoader(step);
  }
  return steps;
}

/** The number by which the machine first said what it is (option 93); undefined where it did not. */
export function architectureOf(steps: readonly BootStep[]): number | undefined {
  const asked = steps.find((s) => s.kind === 'dhcp-asked' && s.arch !== undefined);
  return asked?.kind === 'dhcp-asked' ? asked.arch : undefined;
}

/** Whether the machine has a loader after this step. */
export function sendsLoader(step: BootStep): boolean {
  if (step.kind === 'tftp-ended') return step.end.outcome === 'delivered';
  return step.kind === 'http-answered' && step.what === 'loader' && isWhole(step.exchange);
}

/** Whether the answer is what was asked for, to its end. */
export function isWhole({ status = 0, whole, method }: HttpExchange): boolean {
  return method !== 'HEAD' && status >= 200 && status < 300 && whole === true;
}

function stepOf(packet: WirePacket, isLoaderSent: boolean, asked: string): BootStep | undefined {
  switch (packet.protocol) {
    case 'dhcp':
      return dhcpStep(packet, isLoaderSent);
    case 'tftp':
      return tftpStep(packet, asked);
    case 'http': {
      const { at, exchange, direction } = packet;
      const kind = direction === 'in' ? 'http-asked' : 'http-answered';
      return { kind, at, what: whatOf(exchange), exchange };
    }
  }
}

type Of<P extends WirePacket['protocol']> = Extract<WirePacket, { protocol: P }>;

const askedTypes: Readonly<Record<number, 'discover' | 'request' | 'release'>> = {
  1: 'discover',
  3: 'request',
  7: 'release',
};
const answeredTypes: Readonly<Record<number, 'offer' | 'ack' | 'nak'>> = {
  2: 'offer',
  5: 'ack',
  6: 'nak',
};

function dhcpStep(packet: Of<'dhcp'>, isLoaderSent: boolean): BootStep | undefined {
  const { at, via, local } = packet;
  const parsed = parseDhcpPacket(packet.bytes);
  if (parsed.kind === 'refusal') return undefined;
  const { options, yiaddr, file } = parsed.packet;
  const type = options.get(dhcpOption.messageType)?.[0] ?? 0;
  const serverId = readIpv4(options.get(dhcpOption.serverId));
  const about = { at, speaker: speakerOf(via, isLoaderSent), port: local.port, serverId } as const;
  if (packet.direction === 'in') {
    const arch = options.get(dhcpOption.architecture);
    return {
      ...{ kind: 'dhcp-asked', type: askedTypes[type] ?? 'other', via },
      arch: arch && arch.length >= 2 ? ((arch[0] ?? 0) << 8) | (arch[1] ?? 0) : undefined,
      ...about,
    };
  }
  return {
    ...{ kind: 'dhcp-answered', type: answeredTypes[type] ?? 'other' },
    givesAddress: yiaddr !== noAddress,
    file: printableText(file || (readText(options.get(dhcpOption.bootFile)) ?? '')),
    ...about,
  };
}

function speakerOf(via: ClientVia, isLoaderSent: boolean): Speaker {
  if (via === 'rolecall' || (via === 'ipxe' && isLoaderSent)) return 'loader';
  return via === 'os' ? 'os' : 'firmware';
}

function tftpStep(packet: Of<'tftp'>, asked: string): BootStep | undefined {
  const { at, transfer } = packet;
  if (transfer) return { kind: 'tftp-ended', at, end: transfer };
  const parsed = parseTftpPacket(packet.bytes);
  if (!parsed.ok) return undefined;
  const { packet: said } = parsed;
  switch (said.kind) {
    case 'rrq':
    case 'wrq':
      return { kind: 'tftp-asked', at, file: printableText(said.file) };
    case 'oack':
      return { kind: 'tftp-agreed', at };
    case 'error':
      // The client's own error ends a transfer, whose end says so.
      return packet.direction === 'in'
        ? undefined
        : { kind: 'tftp-refused', at, file: asked, message: printableText(said.message) };
    case 'data':
    case 'ack':
      return undefined;
  }
}

const whatByPath: readonly (readonly [string, HttpWhat])[] = [
  ['/boot/loader/', 'loader'],
  [scriptPath, 'script'],
  [grubConfigPath, 'script'],
  ['/boot/overlay/', 'overlay'],
  ['/boot/secrets/', 'secrets'],
  ['/report/', 'report'],
];

function whatOf({ target, part }: HttpExchange): HttpWhat {
  if (part) return part;
  const path = target.replace(/\/{2,}/g, '/');
  return whatByPath.find(([start]) => path.startsWith(start))?.[1] ?? 'other';
}
