import type { Problem } from '../errors.ts';
import { type Site, type SiteNode, selectNodes, type Volume } from '../site/site.ts';
import { clientVolumes } from './render-volumes.ts';

/** The role that makes a node hold volumes. */
const holderRole = 'storage';

/**
 * What does not fit between a volume and the nodes at both of its ends: holders that hold nothing, or that
 * clients would not find at the VIP, and clients that no route leads to it.
 */
export function checkVolumes(site: Site): readonly Problem[] {
  return [
    ...[...site.volumes.values()].flatMap((volume) => [
      ...volume.nodes.flatMap((name) => holderProblems(volume, site.nodes.get(name))),
      ...selectNodes(site, volume.clients).flatMap((name) =>
        clientProblems(site, volume, site.nodes.get(name)),
      ),
    ]),
    ...[...site.nodes.values()].flatMap((node) => sharedMountPoints(site, node)),
  ];
}

function holderProblems(volume: Volume, node: SiteNode | undefined): readonly Problem[] {
  if (!node) return [];
  const apart = [...volume.vip.keys()].filter((network) => !hasLink(node, network));
  return [
    ...(node.roles.includes(holderRole)
      ? []
      : [
          problem(
            volume,
            'nodes',
            `${node.name} shall hold the volume ${volume.name}, but has not the role ${holderRole}: nothing on it would use its disk`,
            `role: ${holderRole} in ${node.file}, or another node in nodes:`,
          ),
        ]),
    ...apart.map((network) =>
      problem(
        volume,
        `vip.${network}`,
        `${node.name} holds the volume ${volume.name}, whose VIP is on ${network}, and has no link there`,
        `add ${network}: to links in ${node.file}`,
      ),
    ),
  ];
}

/**
 * A client that is its own server, whose requests to an address of this machine come from that address; or one with
 * neither a network in common nor a gateway that might know the way.
 */
function clientProblems(
  site: Site,
  volume: Volume,
  node: SiteNode | undefined,
): readonly Problem[] {
  if (node && volume.nodes.includes(node.name)) {
    return [
      problem(
        volume,
        'clients',
        `${node.name} holds the volume ${volume.name} and is a client of it: while it leads, it asks itself from the VIP, which is no client, and is refused`,
        'other clients, or another node in nodes:',
      ),
    ];
  }
  if (!node || [...volume.vip.keys()].some((network) => hasLink(node, network))) return [];
  const leaves = node.links.some(
    ({ network, gateway }) => gateway && site.networks.get(network)?.gateway !== undefined,
  );
  if (leaves) return [];
  const networks = [...volume.vip.keys()].join(' or ');
  return [
    problem(
      volume,
      'clients',
      `${node.name} is a client of the volume ${volume.name}, and no route leads from it to ${networks}`,
      `add ${[...volume.vip.keys()][0]}: to links in ${node.file}, or a vip: on one of its networks`,
    ),
  ];
}

function sharedMountPoints(site: Site, node: SiteNode): readonly Problem[] {
  const volumes = clientVolumes(site, node);
  return volumes.flatMap((volume, i) => {
    const first = volumes.slice(0, i).find(({ at }) => at === volume.at);
    return first
      ? [
          problem(
            volume,
            'at',
            `${node.name} would mount the volumes ${first.name} and ${volume.name} at one place, ${volume.at}`,
            'another at: for one of them, or other clients',
          ),
        ]
      : [];
  });
}

function hasLink(node: SiteNode, network: string): boolean {
  return node.links.some((link) => link.network === network);
}

function problem(volume: Volume, key: string, message: string, hint: string): Problem {
  return { file: 'site.yaml', line: 0, path: `volumes.${volume.name}.${key}`, message, hint };
}
