import type { Ipv4 } from '../net/ipv4.ts';
import type { AddressClaim } from './address-claims.ts';
import { suggestion } from './did-you-mean.ts';
import { parseHealthCheck } from './parse-health-check.ts';
import type { ParsedNetworks } from './parse-networks.ts';
import { type Choices, readNodeNames, readSelector } from './parse-selector.ts';
import { checkLabel, readHostAddress, readIpv4, readPorts, readWhole } from './read-values.ts';
import type { Service } from './site.ts';
import type { YamlPlace } from './yaml-file.ts';

const keys = [
  'vip',
  'port',
  'protocol',
  'forward',
  'inside',
  'scheduler',
  'balancers',
  'servers',
  'weights',
  'persistence',
  'sorry',
  'check',
  'vrid',
] as const;

/** Schedulers of the kernel's IP virtual server, ipvsadm(8). */
const schedulers = [
  'wlc',
  'rr',
  'wrr',
  'lc',
  'lblc',
  'lblcr',
  'dh',
  'sh',
  'sed',
  'nq',
  'fo',
  'ovf',
  'mh',
] as const;

/** Reads `services:` of site.yaml; every VIP becomes a claim. */
export function parseServices(
  place: YamlPlace | undefined,
  networks: ParsedNetworks,
  choices: Choices,
  claims: AddressClaim[],
): ReadonlyMap<string, Service> {
  const services = new Map<string, Service>();
  for (const [name, at] of place?.entries('such as services: {www: {…}}') ?? []) {
    checkLabel(at, 'service', name);
    const service = parseService(name, at, networks, choices, claims);
    if (service) services.set(name, service);
  }
  return services;
}

function parseService(
  name: string,
  place: YamlPlace,
  networks: ParsedNetworks,
  choices: Choices,
  claims: AddressClaim[],
): Service | undefined {
  const found = place.fields(keys);
  if (!found) return undefined;
  const missing = (key: string, hint: string) =>
    place.problem(`service ${name} has no ${key}`, hint);
  const ports = found.port ? readPorts(found.port) : missing('port', 'add port: 80');
  const protocol = found.protocol ? found.protocol.oneOf(['tcp', 'udp']) : 'tcp';
  const forward = found.forward
    ? found.forward.oneOf(['nat', 'dsr'])
    : missing('forward', 'add forward: nat or forward: dsr');
  const scheduler = found.scheduler ? found.scheduler.oneOf(schedulers) : 'wlc';
  const balancers = found.balancers
    ? readSelector(found.balancers, choices)
    : missing('balancers', 'such as balancers: {role: lb}');
  const servers = found.servers
    ? readSelector(found.servers, choices)
    : missing('servers', 'such as servers: {role: web}');
  if (!found.vip) missing('vip', 'such as vip: {outside: 203.0.113.80}');
  const vips = readVips(found.vip, networks);
  const insides = readVips(found.inside, networks);
  for (const [network, address, at] of vips) {
    const what = `the VIP of service ${name}`;
    const taken = (ports ?? []).map((port) => `${protocol ?? 'tcp'} ${port}`);
    claims.push({ address, network, kind: 'vip', what, ports: taken, place: at });
  }
  for (const [network, address, at] of insides) {
    const what = `the inside VIP of service ${name}`;
    claims.push({ address, network, kind: 'inside', what, ports: [], place: at });
  }
  if (forward === 'nat' && !found.inside) {
    missing('inside', 'nat answers return by an inside VIP: add inside: {boot: 10.77.0.100}');
  }
  if (forward === 'dsr' && found.inside) {
    found.inside.problem(
      'inside is of no use with forward: dsr',
      'take it out: servers answer the client directly',
    );
  }
  const check = parseHealthCheck(found.check, protocol ?? 'tcp');
  const weights = readWeights(found.weights, choices);
  const persistence =
    found.persistence && readWhole(found.persistence, { least: 1, most: 86400, example: 300 });
  const sorry = found.sorry && readSorry(found.sorry, choices);
  const vrid = readVrids(found.vrid, new Set([...vips, ...insides].map(([network]) => network)));
  if (!ports || !protocol || !forward || !scheduler || !balancers || !servers || !check) {
    return undefined;
  }
  return {
    name,
    vip: new Map(vips.map(([network, address]) => [network, address])),
    ports,
    protocol,
    forward,
    inside: new Map(insides.map(([network, address]) => [network, address])),
    scheduler,
    balancers,
    servers,
    weights,
    check,
    vrid,
    ...(persistence === undefined ? {} : { persistence }),
    ...(sorry === undefined ? {} : { sorry }),
  };
}

/** By name of a node. IP virtual server takes weights up to 65535, keepalived.conf(5) up to 65535 too. */
function readWeights(place: YamlPlace | undefined, choices: Choices): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const [name, at] of place?.entries('such as weights: {web1: 3}') ?? []) {
    if (!choices.nodes.includes(name)) {
      at.problem(`there is no node ${name}`, suggestion(name, choices.nodes, 'nodes are'));
    }
    const weight = readWhole(at, { least: 0, most: 65535, example: 3 });
    if (weight !== undefined) weights.set(name, weight);
  }
  return weights;
}

function readSorry(place: YamlPlace, choices: Choices): string | undefined {
  if (place.isMapping || place.items().length !== 1) {
    return place.problem('sorry must be the name of one node', 'such as sorry: web9');
  }
  return readNodeNames(place, choices)[0];
}

/** Virtual router IDs by network, 1 to 255 (RFC 5798 section 5.2.3). */
function readVrids(
  place: YamlPlace | undefined,
  networks: ReadonlySet<string>,
): ReadonlyMap<string, number> {
  const vrids = new Map<string, number>();
  for (const [name, at] of place?.entries('such as vrid: {outside: 51}') ?? []) {
    if (!networks.has(name)) {
      at.problem(
        `the service has no VIP on ${name}`,
        suggestion(name, [...networks], 'its VIPs are on'),
      );
    }
    const vrid = readWhole(at, { least: 1, most: 255, example: 51 });
    if (vrid !== undefined) vrids.set(name, vrid);
  }
  return vrids;
}

/** A virtual address by network, such as `{outside: 203.0.113.80}`; at least one where it is written. */
export function readVips(
  place: YamlPlace | undefined,
  networks: ParsedNetworks,
): readonly (readonly [string, Ipv4, YamlPlace])[] {
  if (!place) return [];
  const vips: [string, Ipv4, YamlPlace][] = [];
  const hint = `such as ${place.name}: {${networks.names[0] ?? 'boot'}: 10.77.0.100}`;
  if (place.isEmpty || (place.isMapping && place.entries().length === 0)) {
    place.problem(`${place.name} is empty`, hint);
  }
  for (const [name, at] of place.entries(hint)) {
    const network = networks.networks.get(name);
    const address = network ? readHostAddress(at, network) : readIpv4(at);
    if (!networks.names.includes(name)) {
      at.problem(
        `${name} is no network of site.yaml`,
        suggestion(name, networks.names, 'there are'),
      );
    }
    if (address) vips.push([name, address, at]);
  }
  return vips;
}
