import type { Problem } from '../errors.ts';
import type { SiteNode } from '../site/site.ts';
import { roleFileName } from './fleet.ts';
import type { Role, RoleFile } from './role.ts';

/** One path of an overlay and the role files that it is made of, in the order of the roles. */
export interface MergedPath {
  readonly path: string;
  readonly parts: readonly { readonly role: Role; readonly file: RoleFile }[];
}

/**
 * The paths that a node's roles write together. Two roles write one path only where both say append;
 * no role removes what another writes; a path is not a file and a folder at once.
 */
export function mergeOverlay(
  node: SiteNode,
  roles: readonly Role[],
): { readonly paths: readonly MergedPath[]; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const byPath = new Map<string, { role: Role; file: RoleFile }[]>();
  for (const role of roles) {
    for (const file of role.tree) {
      byPath.set(file.path, [...(byPath.get(file.path) ?? []), { role, file }]);
    }
  }
  const refuse = (path: string, message: string, hint: string) =>
    problems.push({ file: node.file, line: 0, path: 'role', message: `${path}: ${message}`, hint });
  for (const [path, parts] of byPath) {
    const names = parts.map((part) => part.role.name);
    const refusing = parts.find(
      ({ role, file }) => role.files[path]?.append !== true || file.kind === 'symlink',
    );
    if (parts.length > 1 && refusing) {
      refuse(
        path,
        `the roles ${names.join(' and ')} both write it`,
        `let both say files: {${path}: {append: true}}, or give ${node.name} one of them`,
      );
    }
    const folder = parentPaths(path).find((parent) => byPath.has(parent));
    if (folder) refuse(path, `${folder} is a file of the same node`, 'rename one of the two');
  }
  for (const role of roles) {
    for (const path of role.remove) {
      const writer = byPath.get(path)?.[0]?.role;
      if (!writer) continue;
      refuse(
        path,
        `${writer.name} writes it, and ${role.name} removes it`,
        `take it out of remove in ${roleFileName(role, 'role.yaml')}`,
      );
    }
  }
  for (const { role, path: folder } of roles.flatMap(dataFolders)) {
    for (const [path, [first]] of byPath) {
      if (!first || !isBelow(path, folder)) continue;
      refuse(
        path,
        `${first.role.name} writes it, and the data of ${role.name} is mounted over ${folder}`,
        `write it elsewhere, or as the data's first content when ${role.name} starts`,
      );
    }
  }
  problems.push(
    ...twoOwners(node, roles.flatMap(dataFolders), (path) => `their data in ${path}`),
    ...twoOwners(node, roles.flatMap(secretFiles), (path) => `a secret in ${path}`),
    ...sysctlProblems(node, roles),
  );
  return { paths: [...byPath].map(([path, parts]) => ({ path, parts })), problems };
}

interface Owned {
  readonly role: Role;
  readonly path: string;
}

function dataFolders(role: Role): readonly Owned[] {
  return Object.keys(role.data).map((path) => ({ role, path }));
}

function secretFiles(role: Role): readonly Owned[] {
  return Object.keys(role.secrets).map((path) => ({ role, path }));
}

/** Data and secrets have one owner, one mode and one size. */
function twoOwners(
  node: SiteNode,
  owned: readonly Owned[],
  what: (path: string) => string,
): readonly Problem[] {
  return owned.flatMap(({ role, path }, i) => {
    const before = owned.slice(0, i).find((other) => other.path === path);
    if (!before) return [];
    return [
      {
        file: node.file,
        line: 0,
        path: 'role',
        message: `the roles ${before.role.name} and ${role.name} both have ${what(path)}`,
        hint: `give ${node.name} one of them`,
      },
    ];
  });
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function parentPaths(path: string): readonly string[] {
  const parts = path.split('/').slice(1, -1);
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}`);
}

function sysctlProblems(node: SiteNode, roles: readonly Role[]): readonly Problem[] {
  const values = new Map<string, { role: Role; value: string }>();
  const problems: Problem[] = [];
  for (const role of roles) {
    for (const [key, value] of Object.entries(role.sysctls)) {
      const before = values.get(key);
      if (before && before.value !== value) {
        problems.push({
          file: node.file,
          line: 0,
          path: 'role',
          message: `the roles ${before.role.name} and ${role.name} want ${key} = ${before.value} and ${value}`,
          hint: `give ${node.name} one of them`,
        });
      }
      values.set(key, { role, value });
    }
  }
  return problems;
}
