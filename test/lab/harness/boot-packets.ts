import { expect } from 'vitest';
import type { Capture } from '../../../src/lab/capture.ts';

/** What a machine sent or was sent while it booted, one word per packet, in order. */
export type BootPackets = ReadonlyMap<string, readonly string[]>;

const fields = [
  'eth.src',
  'dhcp.option.dhcp',
  'dhcp.hw.mac_addr',
  'udp.dstport',
  'icmpv6.type',
  'tftp.opcode',
  'tftp.source_file',
  'http.request.uri',
];

const dhcpWords: Readonly<Record<string, string>> = {
  1: 'DISCOVER',
  2: 'OFFER',
  3: 'REQUEST',
  5: 'ACK',
};

/** The packets of a capture that decide a boot, by the machine's MAC. */
export async function readBootPackets(capture: Capture): Promise<BootPackets> {
  const packets = new Map<string, string[]>();
  for (const row of await capture.rows(
    fields,
    'dhcp or tftp.opcode == 1 or icmpv6.type == 133 or http.request or udp.port == 4011',
  )) {
    const value = (field: string) => row[field]?.[0] ?? '';
    const word =
      dhcpWords[value('dhcp.option.dhcp')] ??
      (value('udp.dstport') === '4011' ? 'port 4011' : undefined) ??
      (value('icmpv6.type') === '133' ? 'ROUTER SOLICITATION' : undefined) ??
      (value('tftp.opcode') === '1' ? `RRQ ${fileName(value('tftp.source_file'))}` : undefined) ??
      `HTTP ${value('http.request.uri')
        .replace(/[?].*/, '')
        .replace(/[0-9a-f]{32,}/, '…')}`;
    const machine = value('dhcp.hw.mac_addr') || value('eth.src');
    const seen = packets.get(machine) ?? [];
    // A client that first asks for the size asks twice, and retransmissions are no news.
    if (seen.at(-1) !== word) seen.push(word);
    packets.set(machine, seen);
  }
  return packets;
}

/**
 * Between the last file that the firmware or the loader takes by TFTP and the boot script there is
 * nothing: no second DHCP, no search for an IPv6 router, no question to a proxyDHCP server. The firmware
 * itself takes the first offer at its word.
 */
export function expectNoWaits(packets: BootPackets, mac: string, files: readonly string[]): void {
  // What the node said before its reset is not of this boot.
  const all = packets.get(mac) ?? [];
  const seen = all.slice(all.indexOf('DISCOVER'));
  const first = seen.indexOf(`RRQ ${files[0]}`);
  const script = seen.indexOf('HTTP /boot/script');
  expect(first, seen.join(', ')).toBeGreaterThan(0);
  expect(seen.slice(first, script)).toEqual(files.map((file) => `RRQ ${file}`));
  expect(seen).not.toContain('port 4011');
  const firmware = seen.slice(0, first).filter((word) => word !== 'ROUTER SOLICITATION');
  expect(firmware).toEqual(['DISCOVER', 'OFFER', 'REQUEST', 'ACK']);
}

function fileName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
