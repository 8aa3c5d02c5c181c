import { type Mark, readIdentity, uniqueNics } from './parse-identity.ts';
import { checkBootLink, type ReadLinks, readLinks, withDefaultRoute } from './parse-links.ts';
import type { ParsedNetworks } from './parse-networks.ts';
import { readLabel } from './read-values.ts';
import type { SiteNode } from './site.ts';
import type { Fields, YamlPlace } from './yaml-file.ts';

/** A role file as far as it could be read, with the places that checks across files speak of. */
export interface ParsedNode {
  readonly name: string;
  readonly roles: readonly string[];
  readonly tags: readonly string[];
  readonly marks: readonly Mark[];
  readonly addresses: ReadLinks['addresses'];
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
  'loader',
] as const;

type NodeFields = Fields<(typeof keys)[number]>;

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
  const id = readIdentity(found);
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
  const loader = found.loader?.oneOf(['native', 'firmware']);
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
    ...(loader === undefined ? {} : { loader }),
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
