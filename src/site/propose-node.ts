import { type Ipv4, ipv4ToNumber } from '../net/ipv4.ts';
import { nextFreeAddress } from './address-claims.ts';
import type { Network, Site } from './site.ts';

/** The next name after the nodes named by the role: `web3` after `web1` and `web2`, `web01` after none but `web00`. */
export function proposeName(site: Site, role: string): string {
  const numbers = [...site.nodes.keys()]
    .filter((name) => name.startsWith(role) && /^\d{1,9}$/.test(name.slice(role.length)))
    .map((name) => name.slice(role.length));
  const width = Math.max(1, ...numbers.filter((n) => n.startsWith('0')).map((n) => n.length));
  const next = Math.max(0, ...numbers.map(Number)) + 1;
  return `${role}${String(next).padStart(width, '0')}`;
}

/** Every address that the site gives to somebody. */
export function takenAddresses(site: Site): ReadonlySet<Ipv4> {
  const taken = new Set<Ipv4>();
  for (const network of site.networks.values()) {
    for (const address of [network.server, network.gateway, ...network.dns]) {
      if (address) taken.add(address);
    }
  }
  for (const node of site.nodes.values()) for (const link of node.links) taken.add(link.address);
  for (const service of site.services.values()) {
    for (const address of [...service.vip.values(), ...service.inside.values()]) taken.add(address);
  }
  for (const volume of site.volumes.values()) for (const vip of volume.vip.values()) taken.add(vip);
  for (const address of site.ntp) taken.add(address);
  return taken;
}

/** The next free address after the highest that a node has on the network; undefined where it is full. */
export function proposeAddress(site: Site, network: Network): Ipv4 | undefined {
  const onNetwork = [...site.nodes.values()]
    .flatMap((node) => node.links)
    .filter((link) => link.network === network.name)
    .map((link) => link.address)
    .sort((a, b) => ipv4ToNumber(a) - ipv4ToNumber(b));
  return nextFreeAddress(network, takenAddresses(site), onNetwork.at(-1));
}
