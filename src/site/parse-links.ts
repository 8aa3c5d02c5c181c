import { cidrContains, formatCidr, type Ipv4 } from '../net/ipv4.ts';
import { suggestion } from './did-you-mean.ts';
import { type Identity, type Nic, readNics } from './parse-identity.ts';
import type { ParsedNetworks } from './parse-networks.ts';
import { readHostAddress, readIpv4 } from './read-values.ts';
import { isBootNetwork, type Link, type Network } from './site.ts';
import type { Fields, YamlPlace } from './yaml-file.ts';

/** The links of a role file as far as they could be read. */
export interface ReadLinks {
  readonly links: readonly Link[];
  readonly nics: readonly Nic[];
  /** Whether some link has `nic:`, readable or not. */
  readonly nicsWritten: boolean;
  readonly addresses: readonly { readonly link: Link; readonly place: YamlPlace }[];
  /** Whether nothing was left out because it could not be read. */
  readonly complete: boolean;
}

const nothing: ReadLinks = {
  links: [],
  nics: [],
  nicsWritten: false,
  addresses: [],
  complete: false,
};

/** Reads `links:`, or `address:` at top level, which is short for one; networks that are unknown go unchecked. */
export function readLinks(
  place: YamlPlace,
  found: Fields<'links' | 'address'>,
  id: Identity,
  networks: ParsedNetworks | undefined,
): ReadLinks {
  if (found.address && found.links) {
    found.address.problem(
      'address and links are both written',
      'address: is short for one link; put it into links',
    );
    return nothing;
  }
  if (found.address) return readShortLink(found.address, id, networks);
  const entries = found.links?.entries('such as links: {boot: {address: 10.77.0.11}}') ?? [];
  if (entries.length === 0) {
    const at = found.links ?? place;
    at.problem('the node has no address', 'add address: 10.77.0.11, or links:');
    return nothing;
  }
  const read = entries.map(([name, at]) => readLink(name, at, id, networks, entries.length));
  for (const [index, { nics }] of read.entries()) {
    const before = read.slice(0, index).flatMap((r) => r.nics);
    for (const nic of nics) {
      if (!before.some((b) => b.mac === nic.mac)) continue;
      nic.place.problem(`${nic.mac} is on two links`, 'one card, one link');
    }
  }
  const gateways = entries.filter((_, index) => read[index]?.gateway === true);
  for (const [name, at] of gateways.slice(1)) {
    at.problem(
      `gateway: true on ${name} and on ${gateways[0]?.[0]}`,
      'the default route leaves by one link',
    );
  }
  const whole = read.flatMap((r) => r.whole ?? []);
  return {
    links: whole.map((r) => r.link),
    nics: read.flatMap((r) => r.nics),
    nicsWritten: read.some((r) => r.nicWritten),
    addresses: whole,
    complete: whole.length === read.length,
  };
}

/** `address:` at top level: one NIC on the one network that contains the address. */
function readShortLink(
  place: YamlPlace,
  id: Identity,
  networks: ParsedNetworks | undefined,
): ReadLinks {
  const address = readIpv4(place);
  if (id.nics.length > 1) {
    place.problem(
      'address: is short for one NIC, and mac lists more',
      'write links: with nic, and bond if they belong together',
    );
    return nothing;
  }
  if (id.nics.length === 0) {
    if (!id.nicsWritten) {
      place.problem('nothing says which NIC has the address', 'add mac: 52:54:00:00:00:11');
    }
    return nothing;
  }
  if (!address || !networks) return nothing;
  const network = [...networks.networks.values()].find((n) => cidrContains(n.subnet, address));
  if (!network) {
    // A network that could not be read may be the one; its own problem comes first.
    if (networks.networks.size < networks.names.length) return nothing;
    const known = [...networks.networks.values()].map((n) => `${n.name} ${formatCidr(n.subnet)}`);
    place.problem(`${address} is in no network of site.yaml`, `there are: ${known.join(', ')}`);
    return nothing;
  }
  if (!readHostAddress(place, network)) return nothing;
  const link: Link = {
    network: network.name,
    macs: id.nics.map((nic) => nic.mac),
    address,
    gateway: false,
  };
  return { ...nothing, links: [link], addresses: [{ link, place }], complete: true };
}

interface ReadLink {
  readonly nics: readonly Nic[];
  readonly nicWritten: boolean;
  readonly gateway: boolean;
  /** Undefined where something needed is missing or wrong. */
  readonly whole: { readonly link: Link; readonly place: YamlPlace } | undefined;
}

function readLink(
  name: string,
  place: YamlPlace,
  id: Identity,
  networks: ParsedNetworks | undefined,
  linkCount: number,
): ReadLink {
  const found = place.fields(['nic', 'bond', 'address', 'gateway']);
  if (!found) return { nics: [], nicWritten: false, gateway: false, whole: undefined };
  const bond = found.bond?.oneOf(['active-backup', '802.3ad']);
  const nics = readNics(found.nic);
  const gateway = found.gateway?.flag() ?? false;
  checkNics(place, found, nics, id, linkCount);
  const network = networks?.networks.get(name);
  if (networks && !networks.names.includes(name)) {
    place.problem(
      `${name} is no network of site.yaml`,
      suggestion(name, networks.names, 'there are'),
    );
  }
  const address = readLinkAddress(place, found.address, network);
  if (gateway && network && !network.gateway) {
    found.gateway?.problem(
      `network ${name} has no gateway`,
      `add gateway: to networks.${name} in site.yaml`,
    );
  }
  const macs = (found.nic ? nics : id.nics).map((nic) => nic.mac);
  const link = address && { network: name, macs, address, gateway, ...(bond ? { bond } : {}) };
  return {
    nics,
    nicWritten: found.nic !== undefined,
    gateway,
    whole: link && network && found.address ? { link, place: found.address } : undefined,
  };
}

function readLinkAddress(
  place: YamlPlace,
  address: YamlPlace | undefined,
  network: Network | undefined,
): Ipv4 | undefined {
  if (address) return network ? readHostAddress(address, network) : readIpv4(address);
  return place.problem(`the link on ${place.name} has no address`, 'add address: 10.77.0.11');
}

function checkNics(
  place: YamlPlace,
  found: Fields<'nic' | 'bond' | 'address' | 'gateway'>,
  nics: readonly Nic[],
  id: Identity,
  linkCount: number,
): void {
  const one = linkCount === 1 && id.nicsWritten && id.nics.length <= 1;
  if (!found.nic && !one) {
    place.problem(`nothing says which NIC is on ${place.name}`, 'add nic: 52:54:00:00:00:11');
  }
  if (found.bond && nics.length < 2) {
    found.bond.problem('a bond needs two NICs or more', 'list them: nic: [52:54:…, 52:54:…]');
  }
  if (!found.bond && nics.length > 1) {
    found.nic?.problem('several NICs on one link', 'add bond: active-backup or bond: 802.3ad');
  }
}

/** Where no link says so, the default route leaves by the first whose network has a gateway. */
export function withDefaultRoute(
  links: readonly Link[],
  networks: ParsedNetworks | undefined,
): readonly Link[] {
  if (links.some((link) => link.gateway)) return links;
  const first = links.find((link) => networks?.networks.get(link.network)?.gateway);
  return links.map((link) => (link === first ? { ...link, gateway: true } : link));
}

/** Refuses a node that has no link where the boot server answers. */
export function checkBootLink(
  place: YamlPlace,
  found: Fields<'links' | 'address'>,
  links: readonly Link[],
  networks: ParsedNetworks,
): void {
  if (links.some((link) => isBootNetwork(networks.networks.get(link.network)))) return;
  const names = [...networks.networks.values()].filter(isBootNetwork).map((n) => n.name);
  if (names.length === 0) return;
  (found.links ?? found.address ?? place).problem(
    'the node is on no network with a boot server, so it cannot boot',
    `add a link on ${names.join(' or ')}`,
  );
}
