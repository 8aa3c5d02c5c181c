import { runProgram } from '../system/run-program.ts';
import type { Cable } from './cable.ts';

/**
 * Datagrams that came to that end of the cable and for which their socket had no room, since the cable was laid:
 * RcvbufErrors of its network namespace (RFC 4113 counts them among udpInErrors).
 */
export async function socketDrops(cable: Cable, end: 'server' | 'client'): Promise<number> {
  const { stdout } = await runProgram(...cable.at(end, 'cat', ['/proc/net/snmp']));
  const [names = [], values = []] = stdout
    .split('\n')
    .filter((line) => line.startsWith('Udp:'))
    .map((line) => line.split(' '));
  return Number(values[names.indexOf('RcvbufErrors')] ?? 0);
}
