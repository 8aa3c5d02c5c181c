import {
  broadcastAddress,
  cidrContains,
  formatCidr,
  type Ipv4,
  ipv4ToNumber,
  parseIpv4,
} from '../net/ipv4.ts';
import type { AddressClaim } from './address-claims.ts';
import { suggestion } from './did-you-mean.ts';
import {
  checkLabel,
  hostRange,
  isHostAddress,
  readCidr,
  readHostAddress,
  readServerAddress,
} from './read-values.ts';
import type { Network } from './site.ts';
import type { YamlPlace } from './yaml-file.ts';

/** The networks that could be read, the names of all that were written, and who has which address. */
export interface ParsedNetworks {
  readonly networks: ReadonlyMap<string, Network>;
  readonly names: readonly string[];
  readonly claims: readonly AddressClaim[];
}

/** Reads `networks:` of site.yaml; undefined where it is no mapping. */
export function parseNetworks(place: YamlPlace): ParsedNetworks | undefined {
  const networks = new Map<string, Network>();
  const names: string[] = [];
  const claims: AddressClaim[] = [];
  const relays = new Map<string, YamlPlace>();
  const entries = place.entries('such as networks: {boot: {subnet: 10.77.0.0/24}}');
  if (!place.isMapping && !place.isEmpty) return undefined;
  for (const [name, at] of entries) {
    names.push(name);
    const network = checkLabel(at, 'network', name)
      ? parseNetwork(name, at, claims, relays)
      : undefined;
    if (!network) continue;
    const other = [...networks.values()].find((n) => overlap(n, network));
    if (other) {
      at.problem(
        `network ${name} (${formatCidr(network.subnet)}) overlaps network ${other.name} (${formatCidr(other.subnet)})`,
        'an address must belong to one network only',
      );
    }
    networks.set(name, network);
  }
  checkRelays(networks, relays, names);
  if (names.length === 0) {
    place.problem('networks is empty', 'name the network that machines boot from');
  } else if (names.length === networks.size && ![...networks.values()].some((n) => n.server)) {
    place.problem(
      'no network has a boot server: nothing can boot',
      "add server: with the boot server's address to one network",
    );
  }
  return { networks, names, claims };
}

function overlap(a: Network, b: Network): boolean {
  return cidrContains(a.subnet, b.subnet.base) || cidrContains(b.subnet, a.subnet.base);
}

/** A relay delivers to a boot server that stands on another network, and machines go through a router to it. */
function checkRelays(
  networks: ReadonlyMap<string, Network>,
  relays: ReadonlyMap<string, YamlPlace>,
  names: readonly string[],
): void {
  const servers = [...networks.values()].filter((n) => n.server).map((n) => n.name);
  for (const [name, place] of relays) {
    const network = networks.get(name);
    const target = network?.relay;
    if (!network || target === undefined) continue;
    const there = networks.get(target);
    if (!names.includes(target)) {
      place.problem(
        `network ${name} has a relay to ${target}, which is no network`,
        suggestion(target, servers, 'networks with a boot server'),
      );
    } else if (there && !there.server) {
      place.problem(
        `network ${name} has a relay to network ${target}, which has no boot server`,
        `networks with a boot server: ${servers.join(', ')}`,
      );
    } else if (there?.dhcp === 'off' && network.dhcp !== 'off') {
      place.problem(
        `network ${name} has a relay to network ${target}, where dhcp: off leaves nobody to answer it`,
        `write dhcp: server or dhcp: proxy for network ${target}, or dhcp: off here`,
      );
    }
    if (!network.gateway) {
      place.problem(
        `network ${name} has a relay and no gateway: its machines could not reach the boot server`,
        "add gateway: with the router's address on this network",
      );
    }
  }
}

function parseNetwork(
  name: string,
  place: YamlPlace,
  claims: AddressClaim[],
  relays: Map<string, YamlPlace>,
): Network | undefined {
  const found = place.fields([
    'subnet',
    'server',
    'relay',
    'gateway',
    'dns',
    'dhcp',
    'pool',
    'tftp',
  ]);
  if (!found) return undefined;
  const dhcp = found.dhcp?.oneOf(['server', 'proxy', 'off']);
  const dns = (found.dns?.items() ?? []).map(readServerAddress).filter((a) => a !== undefined);
  if (!found.subnet) {
    return place.problem(`network ${name} has no subnet`, 'add subnet: 10.77.0.0/24');
  }
  const subnet = readCidr(found.subnet);
  if (!subnet) return undefined;
  const server = found.server && readHostAddress(found.server, { name, subnet });
  const gateway = found.gateway && readHostAddress(found.gateway, { name, subnet });
  const own = { network: name, ports: [] };
  if (server && found.server) {
    const what = `the boot server on network ${name}`;
    claims.push({ ...own, address: server, kind: 'server', what, place: found.server });
  }
  if (gateway && found.gateway) {
    const what = `the gateway of network ${name}`;
    claims.push({ ...own, address: gateway, kind: 'gateway', what, place: found.gateway });
  }
  const relay = found.relay?.text('the name of a network with a boot server');
  if (found.relay) relays.set(name, found.relay);
  if (found.relay && found.server) {
    found.relay.problem(
      `network ${name} has a boot server of its own and a relay to another`,
      'take one of the two out',
    );
  }
  if ((found.server || found.relay) && !found.dhcp) {
    const what = found.server ? 'a boot server' : 'a relay to a boot server';
    place.problem(
      `network ${name} has ${what} and does not say who gives addresses`,
      'add dhcp: server, or dhcp: proxy where another DHCP server does, or dhcp: off',
    );
  }
  if (dhcp && dhcp !== 'off' && !found.server && !found.relay) {
    place.problem(
      `network ${name} has dhcp: ${dhcp} and no boot server`,
      "add server: with the boot server's address on this network, or relay: with the network that has one",
    );
  }
  const tftp = found.tftp?.oneOf(['single-port']);
  if (found.tftp && !found.server) {
    found.tftp.problem(
      `network ${name} has tftp: and no boot server`,
      "add server: with the boot server's address on this network, or take tftp: out",
    );
  }
  const pool = found.pool && readPool(found.pool, { name, subnet });
  if (found.pool && dhcp !== undefined && dhcp !== 'server') {
    found.pool.problem(
      `pool is of no use with dhcp: ${dhcp}`,
      'take it out, or write dhcp: server if rolecall gives the addresses here',
    );
  }
  return {
    name,
    subnet,
    dns,
    dhcp: dhcp ?? 'off',
    ...(server ? { server } : {}),
    ...(relay === undefined ? {} : { relay }),
    ...(gateway ? { gateway } : {}),
    ...(tftp ? { tftp } : {}),
    ...(pool ? { pool } : {}),
  };
}

function readPool(
  place: YamlPlace,
  network: Pick<Network, 'name' | 'subnet'>,
): { first: Ipv4; last: Ipv4 } | undefined {
  const text = place.text('10.77.0.200-10.77.0.249');
  if (text === undefined) return undefined;
  const ends = text.split('-').map((end) => parseIpv4(end.trim()));
  const [first, last] = ends;
  if (!first || !last || ends.length !== 2) {
    return place.problem(
      `${text} is no range of addresses`,
      'first and last with a dash between, such as 10.77.0.200-10.77.0.249',
    );
  }
  for (const end of [first, last]) {
    if (isHostAddress(network.subnet, end)) continue;
    const outside = cidrContains(network.subnet, end) ? 'is no host address of' : 'is outside';
    return place.problem(
      `pool ${text}: ${end} ${outside} network ${network.name} (${formatCidr(network.subnet)})`,
      `possible are ${hostRange(network.subnet)}; broadcast is ${broadcastAddress(network.subnet)}`,
    );
  }
  if (ipv4ToNumber(first) > ipv4ToNumber(last)) {
    return place.problem(`pool ${text} ends before it starts`, `type ${last}-${first}`);
  }
  return { first, last };
}
