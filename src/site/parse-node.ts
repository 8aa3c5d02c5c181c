import { cidrContains, formatCidr, type Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import { suggestion } from './did-you-mean.ts';
import type { ParsedNetworks } from './parse-networks.ts';
import {
  readHostAddress,
  readIpv4,
  readLabel,
  readMac,
  readSerial,
  readUuid,
} from './read-values.ts';
import type { Link, Network, SiteNode } from './site.ts';
import type { Fields, YamlPlace } from './yaml-file.ts';

/** A role file as far as it could be read, with the places that checks across files speak of. */
export interface ParsedNode {
  readonly name: string;
  readonly roles: readonly string[];
  readonly tags: readonly string[];
  /** What tells this machine from others: `mac 52:54:…`, `uuid …`, `serial …`, `port …`. */
  readonly marks: readonly { readonly mark: string; readonly place: YamlPlace }[];
  readonly addresses: readonly { readonly link: Link; readonly place: YamlPlace }[];
  /** Undefined where something needed is missing or wrong. */
  readonly node: SiteNode | undefined;
}

const keys = [
  'id',
  'mac',
  'address',
  'role',
  'tags',
  'links',
  'params',
  'console',
  'image',
] as const;

type NodeFields = Fields<(typeof keys)[number]>;

/** A MAC and where it was written. */
interface Nic {
  readonly mac: MacAddress;
  readonly place: YamlPlace;
}

/** Reads one role file; `networks` is undefined where site.yaml cannot be read, and links go unchecked. */
export function parseNode(
  name: string,
  place: YamlPlace,
  networks: ParsedNetworks | undefined,
): ParsedNode | undefined {
  const found = place.fields(keys);
  if (!found) return undefined;
  const roles = readRoles(place, found);
  const tags = readNames(found.tags, 'tag');
  const id = readId(found);
  const links = readLinks(place, found, id, networks);
  const nics = id.nics.length > 0 ? id.nics : links.nics;
  if (!found.id && !found.mac && !found.address && !links.nicsWritten) {
    place.problem(
      'nothing says which machine this is',
      'add mac: 52:54:00:00:00:11, or id: with mac, uuid, serial or port',
    );
  }
  if (networks && links.complete) checkBootLink(place, found, links.links, networks);
  const marks = [
    ...uniqueNics([...id.nics, ...links.nics]).map((nic) => ({
      mark: `MAC ${nic.mac}`,
      place: nic.place,
    })),
    ...id.marks,
  ];
  const { uuid, serial, port } = id;
  const node: SiteNode = {
    name,
    file: place.file,
    id: {
      macs: uniqueNics(nics).map((nic) => nic.mac),
      ...(uuid === undefined ? {} : { uuid }),
      ...(serial === undefined ? {} : { serial }),
      ...(port === undefined ? {} : { port }),
    },
    roles,
    tags,
    links: withDefaultRoute(links.links, networks),
    params: readParams(found.params),
    console: readConsole(found.console),
    image: readImage(found.image),
  };
  return {
    name,
    roles,
    tags,
    marks,
    addresses: links.addresses,
    node: links.complete && roles.length > 0 ? node : undefined,
  };
}

function uniqueNics(nics: readonly Nic[]): readonly Nic[] {
  return [...new Map(nics.toReversed().map((nic) => [nic.mac, nic])).values()].toReversed();
}

function readRoles(place: YamlPlace, found: NodeFields): readonly string[] {
  if (!found.role) {
    place.problem('no role: what is this machine?', 'add role: web');
    return [];
  }
  const roles = readNames(found.role, 'role');
  if (found.role.items().length === 0) found.role.problem('role is empty', 'such as role: web');
  return roles;
}

function readNames(place: YamlPlace | undefined, what: string): readonly string[] {
  const names: string[] = [];
  for (const item of place?.items() ?? []) {
    const name = readLabel(item, what);
    if (name === undefined) continue;
    if (names.includes(name)) item.problem(`${what} ${name} is listed twice`, 'once is enough');
    else names.push(name);
  }
  return names;
}

function readNics(place: YamlPlace | undefined): readonly Nic[] {
  const nics: Nic[] = [];
  for (const item of place?.items() ?? []) {
    const mac = readMac(item);
    if (!mac) continue;
    if (nics.some((nic) => nic.mac === mac))
      item.problem(`${mac} is listed twice`, 'once is enough');
    else nics.push({ mac, place: item });
  }
  if (place && place.items().length === 0) {
    place.problem(`${place.name} is empty`, `such as ${place.name}: 52:54:00:00:00:11`);
  }
  return nics;
}

/** What `id:` and `mac:` say. */
interface Identity {
  readonly nics: readonly Nic[];
  /** Whether a MAC is written at all, readable or not. */
  readonly nicsWritten: boolean;
  readonly uuid: string | undefined;
  readonly serial: string | undefined;
  readonly port: string | undefined;
  readonly marks: ParsedNode['marks'];
}

function readId(found: NodeFields): Identity {
  const id = found.id?.fields(['mac', 'uuid', 'serial', 'port']);
  if (found.mac && id?.mac) {
    found.mac.problem('mac is written here and in id', 'keep one of the two');
  }
  const nics = readNics(found.mac ?? id?.mac);
  const uuid = id?.uuid && readUuid(id.uuid);
  const serial = id?.serial && readSerial(id.serial);
  const port = id?.port?.text('switch1/ge-0/0/7')?.trim();
  if (id && Object.keys(id).length === 0 && !found.mac) {
    found.id?.problem('id is empty', 'mac, uuid, serial or port');
  }
  const marks: { mark: string; place: YamlPlace }[] = [];
  if (uuid !== undefined && id?.uuid) marks.push({ mark: `UUID ${uuid}`, place: id.uuid });
  if (serial !== undefined && id?.serial) {
    marks.push({ mark: `serial number ${serial}`, place: id.serial });
  }
  if (port !== undefined && id?.port) marks.push({ mark: `switch port ${port}`, place: id.port });
  const nicsWritten = (found.mac ?? id?.mac) !== undefined;
  return { nics, nicsWritten, uuid, serial, port, marks };
}

interface ReadLinks {
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

function readLinks(
  place: YamlPlace,
  found: NodeFields,
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
function withDefaultRoute(
  links: readonly Link[],
  networks: ParsedNetworks | undefined,
): readonly Link[] {
  if (links.some((link) => link.gateway)) return links;
  const first = links.find((link) => networks?.networks.get(link.network)?.gateway);
  return links.map((link) => (link === first ? { ...link, gateway: true } : link));
}

function checkBootLink(
  place: YamlPlace,
  found: NodeFields,
  links: readonly Link[],
  networks: ParsedNetworks,
): void {
  const boots = (n: Network | undefined) => n?.server !== undefined;
  if (links.some((link) => boots(networks.networks.get(link.network)))) return;
  const names = [...networks.networks.values()].filter(boots).map((n) => n.name);
  if (names.length === 0) return;
  (found.links ?? found.address ?? place).problem(
    'the node is on no network with a boot server, so it cannot boot',
    `add a link on ${names.join(' or ')}`,
  );
}

function readParams(place: YamlPlace | undefined): Record<string, Record<string, unknown>> {
  return Object.fromEntries(readRoleParams(place));
}

/** `params:` of a role file and `roles:` of site.yaml: a mapping by role; values are the role's own. */
export function readRoleParams(
  place: YamlPlace | undefined,
): ReadonlyMap<string, Record<string, unknown>> {
  const params = new Map<string, Record<string, unknown>>();
  for (const [role, at] of place?.entries('such as mail: {domains: …}') ?? []) {
    if (at.isEmpty) continue;
    if (!at.isMapping) at.problem(`${role} must be a mapping of parameters`, 'such as web: {…}');
    const value = at.plain();
    if (at.isMapping && value) params.set(role, value as Record<string, unknown>);
  }
  return params;
}

function readConsole(place: YamlPlace | undefined): SiteNode['console'] {
  const usual = { device: 'ttyS0', baud: 115200 };
  const text = place?.text('ttyS1,115200');
  if (text === undefined) return usual;
  const parts = /^(tty[A-Za-z]*\d+|hvc\d+)(?:,(\d{3,7}))?$/.exec(text);
  if (!parts) {
    place?.problem(`${text} is no console`, 'a device and its speed, such as ttyS1,115200');
    return usual;
  }
  return { device: parts[1] ?? usual.device, baud: Number(parts[2] ?? usual.baud) };
}

function readImage(place: YamlPlace | undefined): string {
  const text = place?.text('universal');
  if (text === undefined) return 'universal';
  if (/^[a-z0-9][a-z0-9._-]{0,62}$/.test(text)) return text;
  place?.problem(
    `${text} cannot be the name of an image`,
    'lower-case letters, digits, dots and dashes, such as universal',
  );
  return 'universal';
}
