import { broadcastAddress, type Ipv4, ipv4FromNumber, ipv4ToNumber } from '../net/ipv4.ts';
import type { Network, Site } from '../site/site.ts';

/** The highest address of a network that nobody in the site has; undefined where it is full. */
export function freeAddress(site: Site, network: Network): Ipv4 | undefined {
  const taken = new Set<Ipv4 | undefined>([
    network.server,
    network.gateway,
    ...site.ntp,
    ...network.dns,
  ]);
  for (const node of site.nodes.values()) for (const { address } of node.links) taken.add(address);
  for (const service of site.services.values()) {
    for (const address of [...service.vip.values(), ...service.inside.values()]) taken.add(address);
  }
  for (const volume of site.volumes.values()) for (const vip of volume.vip.values()) taken.add(vip);
  const { first, last } = network.pool ?? {};
  const inPool = (address: number) =>
    first !== undefined &&
    last !== undefined &&
    address >= ipv4ToNumber(first) &&
    address <= ipv4ToNumber(last);
  const lowest = ipv4ToNumber(network.subnet.base);
  for (let n = ipv4ToNumber(broadcastAddress(network.subnet)) - 1; n > lowest; n -= 1) {
    const address = ipv4FromNumber(n);
    if (!taken.has(address) && !inPool(n)) return address;
  }
  return undefined;
}
