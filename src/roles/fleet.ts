import type { Site, SiteNode } from '../site/site.ts';
import type { Role } from './role.ts';
import type { SiteTexts } from './template-context.ts';

/** A site with everything its nodes are made of, as it was on disk at one moment. */
export interface Fleet {
  readonly site: Site;
  /** Shipped roles and the site's own ones, by name, sorted. */
  readonly roles: ReadonlyMap<string, Role>;
  /** Content of every role's files by {@link RoleFile.source}: text, or bytes where it is not UTF-8. */
  readonly sources: ReadonlyMap<string, string | Uint8Array>;
  /** Site files that parameters name. */
  readonly siteTexts: SiteTexts;
}

/** The role that every node has, before those it lists. */
export const baseRole = 'base';

/** Names of a node's roles in the order in which they apply: `base` first. */
export function roleNames(node: SiteNode): readonly string[] {
  return [...new Set([baseRole, ...node.roles])];
}

/** The node's roles, `base` first; those that the fleet lacks are left out. */
export function rolesOf(fleet: Fleet, node: SiteNode): readonly Role[] {
  return roleNames(node).flatMap((name) => fleet.roles.get(name) ?? []);
}

/** The name of a role's own file in messages: relative to the site where the role is the site's. */
export function roleFileName(role: Role, path: string): string {
  return role.own ? `roles/${role.name}/${path}` : `${role.dir}/${path}`;
}

/** A machine that no role file names, as a node: role `spare`, addresses by DHCP. */
export function spareNode(name: string, mac: SiteNode['id']['macs'][number]): SiteNode {
  return {
    name,
    file: '',
    id: { macs: [mac] },
    roles: ['spare'],
    tags: [],
    links: [],
    params: {},
    console: { device: 'ttyS0', baud: 115200 },
    image: 'universal',
  };
}
