import type { Problem } from '../errors.ts';
import { type SiteNode, selectNodes, type Volume } from '../site/site.ts';
import { type Fleet, rolesOf } from './fleet.ts';
import { clientVolumes, isBelow } from './render-volumes.ts';

/** A folder of data that one node at a time may use, on a node that has it. */
interface Use {
  readonly node: SiteNode;
  readonly role: string;
  readonly folder: string;
  /** Whether the role itself waits for its turn. */
  readonly waits: boolean;
}

/**
 * What would ruin data or leave it behind: two nodes that use at once what one may, nodes whose data belongs on a
 * volume that does not let them in, and data that two volumes would hold.
 */
export function checkData(fleet: Fleet): readonly Problem[] {
  return [
    ...usesByVolume(fleet).flatMap(({ volume, inside, outside }) => [
      ...twoAtOnce(
        volume,
        inside.filter(({ waits }) => !waits),
      ),
      ...outside.map((use) => leftOut(volume, use)),
    ]),
    ...heldTwice(fleet),
  ];
}

/** Folders of data in a volume that is mounted in another one: which of the two has them is nobody's word. */
function heldTwice(fleet: Fleet): readonly Problem[] {
  return [...fleet.site.nodes.values()].flatMap((node) =>
    rolesOf(fleet, node).flatMap((role) =>
      Object.keys(role.data).flatMap((folder) => {
        const [outer, inner] = clientVolumes(fleet.site, node)
          .filter(({ at }) => isBelow(folder, at))
          .sort((a, b) => a.at.length - b.at.length);
        if (!outer || !inner || outer.at === inner.at) return [];
        return [
          {
            file: 'site.yaml',
            line: 0,
            path: `volumes.${outer.name}.at`,
            message: `${folder} of ${node.name} would be on the volume ${inner.name} at ${inner.at}, and on ${outer.name} at ${outer.at}`,
            hint: 'another at: for one of them, or other clients',
          },
        ];
      }),
    ),
  );
}

/** Nodes that wait while another one uses the data, each told of in its own file and in the other's. */
export function standbys(fleet: Fleet): readonly Problem[] {
  return usesByVolume(fleet).flatMap(({ volume, inside }) => {
    const waiting = inside.filter(({ waits }) => waits);
    if (waiting.length < 2) return [];
    const names = waiting.map(({ node }) => node.name);
    return waiting.map(({ node, role, folder }) => ({
      file: node.file,
      line: 0,
      path: 'role',
      message: `${names.join(', ')} have the role ${role}: one at a time uses ${folder} on the volume ${volume.name}, and another takes over when it is lost`,
      hint: `nothing to do where that is meant; else: rolecall node set-role ${node.name} spare`,
    }));
  });
}

function usesByVolume(fleet: Fleet) {
  const uses = [...fleet.site.nodes.values()].flatMap((node) =>
    rolesOf(fleet, node).flatMap((role) =>
      Object.entries(role.data)
        .filter(([, data]) => data.exclusive)
        .map(([folder, { exclusive }]): Use => {
          return { node, role: role.name, folder, waits: exclusive === 'lock' };
        }),
    ),
  );
  return [...fleet.site.volumes.values()].map((volume) => {
    const here = uses.filter(({ folder }) => isBelow(folder, volume.at));
    const clients = selectNodes(fleet.site, volume.clients);
    const isClient = ({ node }: Use) => clients.includes(node.name);
    return {
      volume,
      inside: here.filter(isClient),
      outside: here.filter((use) => !isClient(use)),
    };
  });
}

function twoAtOnce(volume: Volume, uses: readonly Use[]): readonly Problem[] {
  const [first, ...others] = uses;
  if (!first) return [];
  return others.map(({ node, role, folder }) => ({
    file: node.file,
    line: 0,
    path: 'role',
    message: `${node.name} and ${first.node.name} both have the role ${role}, whose ${folder} is on the volume ${volume.name}: one node at a time may use it`,
    hint: `where ${first.node.name} is dead: ${takeOver(node, first.node)}; where ${node.name} is: ${takeOver(first.node, node)}`,
  }));
}

/** In one command: the site is good neither with two of the role nor, often, with none. */
function takeOver(node: SiteNode, dead: SiteNode): string {
  return `rolecall node set-role ${node.name} ${node.roles.join(' ')} --instead-of ${dead.name}`;
}

function leftOut(volume: Volume, { node, role, folder }: Use): Problem {
  return {
    file: 'site.yaml',
    line: 0,
    path: `volumes.${volume.name}.clients`,
    message: `${node.name} has the role ${role}, whose ${folder} is on the volume ${volume.name}, but is none of its clients`,
    hint: `clients: {role: ${role}}, or another at: than ${volume.at}`,
  };
}
