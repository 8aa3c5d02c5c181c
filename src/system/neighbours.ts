import { readFile } from 'node:fs/promises';
import type { Ipv4 } from '../net/ipv4.ts';
import { type MacAddress, parseMac } from '../net/mac.ts';

/** ATF_COM of <net/if_arp.h>: the entry has a hardware address. */
const complete = 0x2;

/**
 * The hardware address that the kernel has for a neighbour; undefined where it has none. It may be of minutes ago.
 * proc_pid_net(5), arp; the path by `self` is there in a sandbox that shows a process only its own.
 */
export async function neighbourOf(address: Ipv4): Promise<MacAddress | undefined> {
  const table = await readFile('/proc/self/net/arp', 'utf8').catch(() => '');
  for (const line of table.split('\n')) {
    const [ip, , flags, mac = ''] = line.split(/\s+/);
    if (ip === address && (Number(flags) & complete) !== 0) return parseMac(mac);
  }
  return undefined;
}
