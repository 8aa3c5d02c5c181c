import { fileURLToPath } from 'node:url';
import type { Site } from '../site/site.ts';
import { hostAddresses } from '../system/host-addresses.ts';
import { answersDhcp, servedNetworks } from './start-checks.ts';

const launcher = fileURLToPath(new URL('../system/open-sockets.pl', import.meta.url));

/**
 * The command that runs `command` with a socket for the broadcasts of each interface on which the site answers
 * DHCP, and one for HTTP on each of the server's addresses; undefined where there is none to open.
 */
export async function withOpenSockets(
  site: Site,
  ports: { readonly dhcp: number; readonly http: number },
  command: readonly string[],
): Promise<readonly string[] | undefined> {
  const own = await hostAddresses();
  const served = servedNetworks(site);
  const interfaces = served.filter(answersDhcp).flatMap((network) => own.get(network.server) ?? []);
  const wanted = new Set([
    ...interfaces.map((name) => `udp/${ports.dhcp}/${name}`),
    ...served.map((network) => `tcp/${ports.http}/${network.server}`),
  ]);
  if (wanted.size === 0) return undefined;
  return ['/usr/bin/perl', launcher, ...wanted, '--', ...command];
}
