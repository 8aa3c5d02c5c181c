import type { Problem } from '../errors.ts';
import type { Site, SiteNode } from '../site/site.ts';
import { pathKey, type RenderedContents } from './render-contents.ts';
import { volumeOfFolder } from './render-volumes.ts';

/** Disks of a node that its data cannot have: those of volumes, and where a volume or another folder is named too. */
export function checkDisks(
  site: Site,
  node: SiteNode,
  { roles, disks }: RenderedContents,
): readonly Problem[] {
  const folders = roles.flatMap((role) =>
    Object.keys(role.data).flatMap((folder) => {
      const disk = disks.get(pathKey(role, folder));
      return disk === undefined ? [] : [{ role, folder, disk }];
    }),
  );
  const problem = (message: string, hint: string): Problem => {
    return { file: node.file, line: 0, path: 'role', message, hint };
  };
  return folders.flatMap(({ role, folder, disk }, i) => {
    const volume = volumeOfFolder(site, node, folder);
    const held = [...site.volumes.values()].find(
      ({ nodes, device }) => nodes.includes(node.name) && device === disk,
    );
    const other = folders.slice(0, i).find((before) => before.disk === disk);
    return [
      ...(volume
        ? [
            problem(
              `${folder} of ${node.name} is on the volume ${volume.name}, and the role ${role.name} names the disk ${disk} for it`,
              'take one of the two out',
            ),
          ]
        : []),
      ...(held
        ? [
            problem(
              `${folder} of ${node.name} shall be on ${disk}, which holds the volume ${held.name}: it would be lost`,
              'name another disk',
            ),
          ]
        : []),
      ...(other
        ? [
            problem(
              `${other.folder} and ${folder} of ${node.name} shall both be on ${disk}`,
              'a disk for each, or a partition',
            ),
          ]
        : []),
    ];
  });
}
