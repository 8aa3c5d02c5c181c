import { fileURLToPath } from 'node:url';
import type { Site } from '../site/site.ts';
import { hostAddresses } from '../system/host-addresses.ts';
import { answersDhcp, servedNetworks } from './start-checks.ts';

const launcher = fileURLToPath(new URL('../system/open-broadcast-sockets.pl', import.meta.url));

/**
 * The command that runs `command` with a socket for the broadcasts of each interface on which the site answers
 * DHCP; undefined where there is none to open.
 */
export async function withBroadcastSockets(
  site: Site,
  port: number,
  command: readonly string[],
): Promise<readonly string[] | undefined> {
  const own = await hostAddresses();
  const interfaces = new Set(
    servedNetworks(site)
      .filter(answersDhcp)
      .flatMap((network) => own.get(network.server) ?? []),
  );
  if (interfaces.size === 0) return undefined;
  return ['/usr/bin/perl', launcher, String(port), ...interfaces, '--', ...command];
}
