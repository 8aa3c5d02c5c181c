import { type Digest, digestOf, digestOfValue } from '../digest.ts';
import { type Fleet, roleNames } from './fleet.ts';
import type { Role } from './role.ts';

/** What machines that no role file names become. */
export const spareRole = 'spare';

/** The image that a spare boots, and every node whose role file names no other. */
const defaultImage = 'universal';

/** The roles that machines of the site have with this image, sorted; `spare` where unknown machines become one. */
export function usedRoles({ site }: Pick<Fleet, 'site'>, image: string): readonly string[] {
  const nodes = [...site.nodes.values()].filter((node) => node.image === image);
  const spares = site.unknown === 'spare' && image === defaultImage ? ['base', spareRole] : [];
  return [...new Set([...nodes.flatMap(roleNames), ...spares])].sort();
}

/** Digest of all that a role is: role.yaml and the bytes of its files, wherever its folder is. */
export function digestOfRole({ dir, ...role }: Role, sources: Fleet['sources']): Digest {
  const tree = role.tree.map(({ source, ...file }) => ({
    ...file,
    source: source.slice(dir.length),
    content: digestOf(sources.get(source) ?? ''),
  }));
  return digestOfValue({ ...role, tree });
}
