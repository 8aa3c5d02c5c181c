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
  const names = entries.map(([name]) => name);
  const read = entries.map(([name, at]) => readLink(name, at, id, networks, names));
  for (const [index, { nics }] of read.entries()) {
    const before = read.slice(0, index).flatMap((r) => r.nics);
    for (const nic of nics) {
      if (!before.some((b) => b.mac === nic.mac)) continue;
      nic.place.problem(`${nic.mac} is on two links`, 'one card, one link');
    }
  }
  for (const [index, { whole }] of read.entries()) {
    const path = whole?.link.path;
    if (path === undefined) continue;
    const isTaken = read.slice(0, index).some((other) => other.whole?.link.path === path);
    if (isTaken) entries[index]?.[1].problem(`${path} is on two links`, 'one card, one link');
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

/**
 * `address:` at top level: one NIC on the one network that contains the address. A node that is known by something
 * else than a MAC has it on the card that it boots by.
 */
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
  if (id.nicsWritten && id.nics.length === 0) return nothing;
  if (!id.nicsWritten && !id.othersWritten) {
    place.problem('nothing says which NIC has the address', 'add mac: 52:54:00:00:00:11');
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
  names: readonly string[],
): ReadLink {
  const found = place.fields(['nic', 'path', 'bond', 'address', 'gateway']);
  if (!found) return { nics: [], nicWritten: false, gateway: false, whole: undefined };
  const bond = found.bond?.oneOf(['active-backup', '802.3ad']);
  const nics = readNics(found.nic);
  const gateway = found.gateway?.flag() ?? false;
  checkNics(place, found, nics, id, names, networks);
  const path = found.path && readPath(found.path);
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
  const macs = (found.nic ? nics : found.path ? [] : id.nics).map((nic) => nic.mac);
  const link = address && {
    ...{ network: name, macs, address, gateway },
    ...(path === undefined ? {} : { path }),
    ...(bond ? { bond } : {}),
  };
  return {
    nics,
    nicWritten: found.nic !== undefined,
    gateway,
    whole:
      link && network && found.address && (!found.path || path !== undefined)
        ? { link, place: found.address }
        : undefined,
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

/** ID_PATH of udev: letters, digits and `- . : + _`. */
function readPath(place: YamlPlace): string | undefined {
  const text = place.text('pci-0000:02:00.0');
  if (text === undefined || /^[A-Za-z0-9][\w.:+-]{0,127}$/.test(text)) return text;
  return place.problem(`${text} is no ID_PATH of udev`, pathHint);
}

const pathHint =
  'such as path: pci-0000:02:00.0, which udevadm info /sys/class/net/CARD calls ID_PATH';

function checkNics(
  place: YamlPlace,
  found: Fields<'nic' | 'path' | 'bond' | 'address' | 'gateway'>,
  nics: readonly Nic[],
  id: Identity,
  names: readonly string[],
  networks: ParsedNetworks | undefined,
): void {
  if (found.nic && found.path) {
    found.path.problem('nic and path are both written', 'keep the one that shall count');
  }
  const one = names.length === 1 && id.nicsWritten && id.nics.length <= 1;
  if (!found.nic && !found.path && !one) checkBootCard(place, id, names, networks);
  if (found.bond && found.path) {
    found.bond.problem('a bond needs the MACs of its cards', 'nic: [52:54:…, 52:54:…]');
    return;
  }
  if (found.bond && nics.length < 2) {
    found.bond.problem('a bond needs two NICs or more', 'list them: nic: [52:54:…, 52:54:…]');
  }
  if (!found.bond && nics.length > 1) {
    found.nic?.problem('several NICs on one link', 'add bond: active-backup or bond: 802.3ad');
  }
}

/** A node that is known by something else than a MAC boots by some card: that one needs no name. */
function checkBootCard(
  place: YamlPlace,
  id: Identity,
  names: readonly string[],
  networks: ParsedNetworks | undefined,
): void {
  const message = `nothing says which NIC is on ${place.name}`;
  if (id.nicsWritten || !id.othersWritten) {
    place.problem(message, 'add nic: 52:54:00:00:00:11');
    return;
  }
  if (!networks) return;
  const boots = names.filter((name) => isBootNetwork(networks.networks.get(name)));
  if (boots.length === 1 && boots[0] === place.name) return;
  const which =
    boots.length > 1
      ? 'it may boot from several networks, and its card counts for none of them; '
      : '';
  place.problem(message, `${which}${pathHint}; or nic: 52:54:00:00:00:11`);
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
