import type { AddressClaim } from './address-claims.ts';
import { suggestion } from './did-you-mean.ts';
import type { ParsedNetworks } from './parse-networks.ts';
import type { ParsedNode } from './parse-node.ts';
import { type Choices, readNodeNames, readSelector } from './parse-selector.ts';
import { readVips } from './parse-services.ts';
import { checkLabel, readAbsolutePath, readDevice } from './read-values.ts';
import type { Volume } from './site.ts';
import type { YamlPlace } from './yaml-file.ts';

/** What a volume is checked against. */
export interface VolumeSurroundings {
  readonly networks: ParsedNetworks;
  readonly choices: Choices;
  readonly nodes: ReadonlyMap<string, ParsedNode>;
}

/** Reads `volumes:` of site.yaml; every VIP becomes a claim. */
export function parseVolumes(
  place: YamlPlace | undefined,
  around: VolumeSurroundings,
  claims: AddressClaim[],
): ReadonlyMap<string, Volume> {
  const volumes = new Map<string, Volume>();
  for (const [name, at] of place?.entries('such as volumes: {www: {…}}') ?? []) {
    checkLabel(at, 'volume', name);
    const volume = parseVolume(name, at, around, claims);
    if (!volume) continue;
    const shared = [...volumes.values()].find(
      (v) => v.device === volume.device && v.nodes.some((n) => volume.nodes.includes(n)),
    );
    if (shared) {
      at.problem(
        `volumes ${shared.name} and ${name} use one device, ${volume.device}, on one node`,
        'each volume needs a device of its own',
      );
    }
    volumes.set(name, volume);
  }
  return volumes;
}

function parseVolume(
  name: string,
  place: YamlPlace,
  around: VolumeSurroundings,
  claims: AddressClaim[],
): Volume | undefined {
  const found = place.fields(['nodes', 'device', 'replication', 'vip', 'clients', 'at']);
  if (!found) return undefined;
  const missing = (key: string, hint: string) =>
    place.problem(`volume ${name} has no ${key}`, hint);
  const nodes = found.nodes
    ? readPair(found.nodes, around.choices)
    : missing('nodes', 'the pair that holds it: nodes: [nfs1, nfs2]');
  const device = found.device
    ? readDevice(found.device)
    : missing('device', 'such as device: /dev/disk/by-id/virtio-www');
  const replication = found.replication
    ? readReplication(found.replication, nodes, around)
    : missing('replication', 'the network that carries it, such as replication: boot');
  const clients = found.clients
    ? readSelector(found.clients, around.choices)
    : missing('clients', 'who may mount it: clients: {role: web}');
  const at = found.at
    ? readMountPoint(found.at)
    : missing('at', 'where clients mount it: at: /srv/www');
  if (!found.vip) missing('vip', 'such as vip: {boot: 10.77.0.110}');
  const vips = readVips(found.vip, around.networks);
  for (const [network, address, vipPlace] of vips) {
    const what = `the VIP of volume ${name}`;
    claims.push({ address, network, kind: 'volume', what, ports: [], place: vipPlace });
  }
  if (!nodes || !device || !replication || !clients || !at) return undefined;
  return {
    name,
    nodes,
    device,
    replication,
    vip: new Map(vips.map(([network, address]) => [network, address])),
    clients,
    at,
  };
}

/** Folders of the image itself, with all below them, and those that hold others of it. */
const systemFolders = /^\/((bin|boot|dev|etc|lib\w*|proc|run|sbin|sys|tmp|usr)(\/|$)|var(\/lib)?$)/;

function readMountPoint(place: YamlPlace): string | undefined {
  const path = readAbsolutePath(place);
  if (path === undefined || !systemFolders.test(path)) return path;
  return place.problem(
    `a volume on ${path} would hide what the node runs from`,
    'such as /srv/www',
  );
}

function readPair(place: YamlPlace, choices: Choices): readonly [string, string] | undefined {
  const [first, second, ...more] = readNodeNames(place, choices);
  if (first !== undefined && second !== undefined && more.length === 0) return [first, second];
  if (place.items().length !== 2) {
    place.problem(
      `a volume is held by two nodes, not ${place.items().length}`,
      'nodes: [nfs1, nfs2]',
    );
  }
  return undefined;
}

function readReplication(
  place: YamlPlace,
  pair: readonly [string, string] | undefined,
  around: VolumeSurroundings,
): string | undefined {
  const name = place.text('boot');
  if (name === undefined) return undefined;
  const { names } = around.networks;
  if (!names.includes(name)) {
    return place.problem(
      `${name} is no network of site.yaml`,
      suggestion(name, names, 'there are'),
    );
  }
  for (const holder of pair ?? []) {
    const node = around.nodes.get(holder)?.node;
    if (!node || node.links.some((link) => link.network === name)) continue;
    place.problem(
      `node ${holder} has no link on ${name}, which carries the replication`,
      `add ${name}: to links in ${node.file}`,
    );
  }
  return name;
}
