import type { Problem, Result } from '../errors.ts';
import type { Cidr } from '../net/ipv4.ts';
import { type AddressClaim, checkAddressClaims } from './address-claims.ts';
import { parseImages } from './parse-images.ts';
import { type ParsedNetworks, parseNetworks } from './parse-networks.ts';
import { type ParsedNode, parseNode, readRoleParams } from './parse-node.ts';
import type { Choices } from './parse-selector.ts';
import { parseServices } from './parse-services.ts';
import { parseVolumes } from './parse-volumes.ts';
import { readAdmins } from './read-admin-key.ts';
import {
  checkLabel,
  isLabel,
  readCidr,
  readDomain,
  readLabel,
  readServerAddress,
} from './read-values.ts';
import { isBootNetwork, type Site, type SiteNode } from './site.ts';
import { type Fields, parseYaml, type YamlPlace } from './yaml-file.ts';

const keys = [
  'site',
  'domain',
  'admins',
  'ntp',
  'networks',
  'unknown',
  'secureBoot',
  'images',
  'services',
  'volumes',
  'clientClasses',
  'roles',
] as const;

/**
 * Reads a whole site from its texts, by path relative to the site folder: `site.yaml` and
 * `nodes/<name>.yaml`. Gives back the site, or every problem of every file, sorted by file and line.
 */
export function parseSite(texts: ReadonlyMap<string, string>): Result<Site> {
  const problems: Problem[] = [];
  const site = readSite(texts, problems);
  return site && problems.length === 0
    ? { ok: true, value: site }
    : { ok: false, problems: sortProblems(problems) };
}

/** Problems by file (site.yaml first), then line, each once. */
export function sortProblems(problems: readonly Problem[]): readonly Problem[] {
  const once = new Map(problems.map((p) => [JSON.stringify(p), p]));
  const rank = (file: string) => (file === 'site.yaml' ? `0` : `1${file}`);
  return [...once.values()].sort(
    (a, b) => compare(rank(a.file), rank(b.file)) || a.line - b.line || compare(a.path, b.path),
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function readSite(texts: ReadonlyMap<string, string>, problems: Problem[]): Site | undefined {
  const text = texts.get('site.yaml');
  if (text === undefined) {
    problems.push({
      file: 'site.yaml',
      line: 0,
      path: '',
      message: 'there is no site.yaml in the site folder',
      hint: 'rolecall init makes a site; --site DIR names another folder',
    });
  }
  const top = text === undefined ? undefined : parseYaml('site.yaml', text, problems);
  const found = top?.fields(keys);
  const networks = top && found ? readNetworks(top, found) : undefined;
  const nodes = parseNodes(texts, networks, problems);
  checkMarks(nodes.read);
  if (!top || !found) return undefined;
  const head = readHead(top, found);
  if (!networks) return undefined;
  if (found.unknown && head.unknown === 'spare') checkSpares(found.unknown, networks);
  const claims: AddressClaim[] = [...networks.claims, ...nodes.read.flatMap(nodeClaims)];
  const choices: Choices = {
    nodes: nodes.names,
    roles: nodes.allRead ? unique(nodes.read.flatMap((n) => n.roles)) : undefined,
    tags: nodes.allRead ? unique(nodes.read.flatMap((n) => n.tags)) : undefined,
  };
  const services = parseServices(found.services, networks, choices, claims);
  const around = { networks, choices, nodes: new Map(nodes.read.map((n) => [n.name, n])) };
  const volumes = parseVolumes(found.volumes, around, claims);
  checkAddressClaims(claims, networks.networks);
  const { name, domain, admins, ntp, clientClasses, roleParams } = head;
  if (name === undefined || domain === undefined || !admins) return undefined;
  return {
    name,
    domain,
    admins,
    ntp,
    networks: networks.networks,
    unknown: head.unknown ?? 'spare',
    secureBoot: head.secureBoot ?? false,
    images: head.images,
    services,
    volumes,
    clientClasses,
    roleParams,
    nodes: siteNodes(nodes.read),
  };
}

/** What of site.yaml stands for itself. */
function readHead(top: YamlPlace, found: Fields<(typeof keys)[number]>) {
  return {
    name: found.site
      ? readLabel(found.site, 'site')
      : top.problem('the site has no name', 'add site: tokyo'),
    domain: found.domain
      ? readDomain(found.domain)
      : top.problem('the site has no domain', 'add domain: tokyo.example'),
    admins: found.admins
      ? readAdmins(found.admins)
      : top.problem(
          'no admins: nobody could log in to any node',
          'add admins: with the line of ~/.ssh/id_ed25519.pub; ssh-keygen -t ed25519 makes one',
        ),
    ntp: (found.ntp?.items() ?? []).map(readServerAddress).filter((a) => a !== undefined),
    unknown: found.unknown?.oneOf(['spare', 'ignore']),
    secureBoot: found.secureBoot?.flag(),
    images: parseImages(found.images),
    clientClasses: readClientClasses(found.clientClasses),
    roleParams: readRoleParams(found.roles),
  };
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort();
}

function readNetworks(top: YamlPlace, found: Fields<'networks'>): ParsedNetworks | undefined {
  return found.networks
    ? parseNetworks(found.networks)
    : top.problem('the site has no networks', 'name the network that machines boot from');
}

interface ParsedNodes {
  /** Every node that has a role file, readable or not. */
  readonly names: readonly string[];
  readonly read: readonly ParsedNode[];
  readonly allRead: boolean;
}

function parseNodes(
  texts: ReadonlyMap<string, string>,
  networks: ParsedNetworks | undefined,
  problems: Problem[],
): ParsedNodes {
  const names: string[] = [];
  const read: ParsedNode[] = [];
  for (const file of [...texts.keys()].filter((f) => f.startsWith('nodes/')).sort()) {
    const name = nodeNameOf(file, problems);
    if (name === undefined) continue;
    names.push(name);
    const place = parseYaml(file, texts.get(file) ?? '', problems);
    const node = place && parseNode(name, place, networks);
    if (node) read.push(node);
  }
  return { names, read, allRead: read.length === names.length };
}

function nodeNameOf(file: string, problems: Problem[]): string | undefined {
  const name = file.slice('nodes/'.length).replace(/\.yaml$/, '');
  const bad = (message: string, hint: string) => {
    problems.push({ file, line: 0, path: '', message, hint });
    return undefined;
  };
  if (!file.endsWith('.yaml')) {
    const base = name.replace(/\.[^.]*$/, '');
    return bad('a role file ends in .yaml', `rename it to nodes/${base}.yaml`);
  }
  return isLabel(name)
    ? name
    : bad(
        `${name} cannot be the name of a node`,
        'lower-case letters, digits and dashes, at most 63, no dash at an end',
      );
}

function nodeClaims(node: ParsedNode): readonly AddressClaim[] {
  return node.addresses.map(({ link, place }) => ({
    address: link.address,
    network: link.network,
    kind: 'node',
    what: `the address of node ${node.name}`,
    ports: [],
    place,
  }));
}

function siteNodes(read: readonly ParsedNode[]): ReadonlyMap<string, SiteNode> {
  return new Map(read.flatMap((n) => (n.node ? [[n.name, n.node] as const] : [])));
}

/** Two role files that name one machine would make it boot into whichever is read first. */
function checkMarks(nodes: readonly ParsedNode[]): void {
  const seen = new Map<string, { readonly node: string; readonly place: YamlPlace }>();
  for (const node of nodes) {
    for (const { mark, place } of node.marks) {
      const other = seen.get(mark);
      if (!other) seen.set(mark, { node: node.name, place });
      else {
        place.problem(
          `${mark} is also node ${other.node}'s (${other.place.file}:${other.place.line})`,
          'one machine, one role file: correct one of the two',
        );
      }
    }
  }
}

function checkSpares(place: YamlPlace, { networks, names }: ParsedNetworks): void {
  if (networks.size < names.length) return;
  const boot = [...networks.values()].filter(isBootNetwork);
  const served = boot.filter((n) => n.dhcp === 'server');
  if (served.length === 0 || boot.some((n) => n.dhcp === 'proxy' || n.pool)) return;
  place.problem(
    'unknown: spare, but there are no addresses for machines that no role file names',
    `add pool: to networks.${served[0]?.name}, or write unknown: ignore`,
  );
}

function readClientClasses(place: YamlPlace | undefined): ReadonlyMap<string, readonly Cidr[]> {
  const classes = new Map<string, readonly Cidr[]>();
  for (const [name, at] of place?.entries('such as clientClasses: {office: [198.51.100.0/24]}') ??
    []) {
    checkLabel(at, 'client class', name);
    classes.set(
      name,
      at
        .items()
        .map(readCidr)
        .filter((c) => c !== undefined),
    );
  }
  return classes;
}
