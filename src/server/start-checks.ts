import { nodeArchitecture } from '../boot/node-architecture.ts';
import type { Problem } from '../errors.ts';
import type { ImageStore } from '../images/image-store.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import type { DhcpSegment } from '../pxe/dhcp-sockets.ts';
import { neededLoaders } from '../pxe/loader-by-client.ts';
import type { Network, Site } from '../site/site.ts';
import { hostAddresses } from '../system/host-addresses.ts';
import { type Generation, refusals } from './generation.ts';

/** A problem that belongs to no file. */
export function problemOf(message: string, hint: string): Problem {
  return { file: '', line: 0, path: '', message, hint };
}

/** A network on which this server stands. */
export interface ServedNetwork extends Network {
  readonly server: Ipv4;
}

/** The networks on which this server stands; those behind a relay are served on one of these. */
export function servedNetworks(site: Site): readonly ServedNetwork[] {
  return [...site.networks.values()].filter(
    (network): network is ServedNetwork => network.server !== undefined,
  );
}

/** Whether DHCP is answered there, with addresses or beside another server; else there are TFTP and HTTP. */
export function answersDhcp(network: Network): boolean {
  return network.dhcp !== 'off';
}

/** The ends of the DHCP server, each with the socket of its interface, where there is one. */
export async function segmentsOf(
  served: readonly ServedNetwork[],
  urlOf: (address: Ipv4) => string,
  sockets: ReadonlyMap<string, number> = new Map(),
): Promise<readonly DhcpSegment[]> {
  const own = await hostAddresses();
  return served.filter(answersDhcp).map(({ server }) => {
    const broadcasts = sockets.get(own.get(server) ?? '');
    return {
      serverAddress: server,
      httpServer: urlOf(server),
      ...(broadcasts === undefined ? {} : { broadcasts }),
    };
  });
}

/** What this machine lacks to serve the site; every problem at once. */
export async function checkHost(site: Site): Promise<readonly Problem[]> {
  const own = await hostAddresses();
  const served = servedNetworks(site);
  const problems = served
    .filter((network) => !own.has(network.server))
    .map((network) =>
      problemOf(
        `network ${network.name}: this machine does not have the address ${network.server}`,
        `ip address add ${network.server}/${network.subnet.prefix} dev INTERFACE, or correct server: in site.yaml`,
      ),
    );
  if (served.length === 0) {
    problems.push(
      problemOf(
        'no network of site.yaml has a server:, so no machine could boot',
        "give the boot network server: <this machine's address>",
      ),
    );
  }
  return problems;
}

/** What is missing of images and boot sets; nodes without a boot set are a problem where no node has one. */
export async function checkImages(
  generation: Pick<Generation, 'fleet' | 'sets' | 'loaders'>,
  images: ImageStore,
): Promise<readonly Problem[]> {
  // One node that cannot boot must not keep the others from it, after a power cut least of all.
  const refused = refusals(generation);
  const problems =
    refused.length > 0 && refused.length === generation.sets.size
      ? refused.map((reason) => problemOf(reason, ''))
      : [];
  const published = await images.resolve('universal', nodeArchitecture);
  if (!published) {
    return [
      ...problems,
      problemOf('there is no published image universal', 'rolecall build --publish'),
    ];
  }
  problems.push(...missingLoaders(generation));
  for (const damage of await images.verify(published.digest)) {
    problems.push(problemOf(`the image universal: ${damage.message}`, 'rolecall build --publish'));
  }
  return problems;
}

/** The loaders that machines of the site would ask for in vain. */
export function missingLoaders({
  fleet,
  loaders,
}: Pick<Generation, 'fleet' | 'loaders'>): readonly Problem[] {
  return neededLoaders(fleet.site)
    .filter((file) => !loaders[file])
    .map((file) =>
      problemOf(`the image universal has no loader ${file}`, 'rolecall build --publish'),
    );
}
