import { digestOf } from '../digest.ts';
import type { Problem } from '../errors.ts';
import { suggestion } from '../site/did-you-mean.ts';
import type { SiteNode } from '../site/site.ts';
import { enableUnits } from './enable-units.ts';
import { type Fleet, roleFileName, roleNames } from './fleet.ts';
import type { ImageFacts, UnitInstall } from './image-facts.ts';
import { type OverlayFile, rootFile, rootLink } from './overlay-file.ts';
import { resolveOwnership } from './ownership.ts';
import { renderCheckPrograms } from './render-check-programs.ts';
import {
  asText,
  pathKey,
  type RenderedContent,
  type RenderedContents,
  renderContents,
} from './render-contents.ts';
import { renderFstab } from './render-fstab.ts';
import { renderLinks } from './render-links.ts';
import { renderServiceLinks } from './render-service-links.ts';
import { clientMounts, renderHeldVolumes, volumeOfFolder } from './render-volumes.ts';
import type { Role } from './role.ts';
import type { SharedSecret } from './shared-secret.ts';
import { parseUnitInstall } from './unit-file.ts';

export interface RenderInput {
  readonly fleet: Fleet;
  /** A node of the site, or a spare, as {@link spareNode} makes it. */
  readonly node: SiteNode;
  readonly facts: ImageFacts;
}

/** Every file that turns the image into a node, sorted by path, or all that is wrong. */
export type RenderedOverlay =
  | {
      readonly ok: true;
      readonly files: readonly OverlayFile[];
      /** What the node gets besides, by path; none of it is in the files. */
      readonly secrets: readonly SharedSecret[];
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Paths to delete from the image, one per line; the initramfs reads it and takes it away. */
export const removeListPath = '/.rolecall/remove';

/** Folder of the roles' ready commands, executable, named after their roles. */
export const readyDir = '/etc/rolecall/ready.d';

/**
 * Renders a node: its roles' files in order, `base` first, and what follows from the site and from
 * `role.yaml`: links, enabled units, machine-id, modules, sysctls, ready commands, folders of data,
 * paths to remove. The same input gives the same files; nothing of time, place or chance is in them.
 */
export function renderOverlay({ fleet, node, facts }: RenderInput): RenderedOverlay {
  const contents = renderContents(fleet, node);
  const { roles } = contents;
  const problems: Problem[] = [
    ...unknownRoles(fleet, node),
    ...contents.problems,
    ...missingPackages(node, roles, facts),
  ];
  if (problems.length > 0) return { ok: false, problems };

  const own = contents.files.map((file) => renderOwned(file, facts, problems));
  const made = [
    rootFile('/etc/machine-id', `${machineId(fleet.site.name, node.name)}\n`),
    ...renderLinks(fleet.site, node),
    ...renderServiceLinks(fleet.site, node),
    ...renderCheckPrograms(fleet.site, fleet.siteTexts, node),
    ...renderReady(contents),
    ...renderModules(roles),
    ...roles.flatMap(renderSysctls),
    ...renderHeldVolumes(fleet.site, node),
    ...renderRemove(roles),
    ...renderDataFolders(fleet, node, contents, facts, problems),
    ...renderEnabled(node, roles, own, facts, problems),
  ];
  const files = joinFiles(own, made, node, problems);
  const secrets = renderSecrets(contents, node, files, facts, problems);
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, files: [...files].sort(byPath), secrets: [...secrets].sort(byPath) };
}

function byPath(a: { readonly path: string }, b: { readonly path: string }): number {
  return a.path < b.path ? -1 : 1;
}

function renderSecrets(
  { roles, hosts }: RenderedContents,
  node: SiteNode,
  files: readonly OverlayFile[],
  facts: ImageFacts,
  problems: Problem[],
): readonly SharedSecret[] {
  const taken = new Set(files.map((file) => file.path));
  return roles.flatMap((role) =>
    Object.entries(role.secrets).map(([path, secret]): SharedSecret => {
      if (taken.has(path)) {
        const message = `${path}: it is a secret of the role ${role.name}, and written besides`;
        problems.push({
          file: node.file,
          line: 0,
          path: 'role',
          message,
          hint: 'rename one of them',
        });
      }
      taken.add(path);
      return {
        ...{ kind: 'certificate', name: secret.certificate, path },
        hosts: hosts.get(pathKey(role, path)) ?? [],
        mode: Number.parseInt(secret.mode ?? '0600', 8),
        ...ownerOf(secret, role, `secrets.${path}`, facts, problems),
      };
    }),
  );
}

function unknownRoles(fleet: Fleet, node: SiteNode): readonly Problem[] {
  return roleNames(node)
    .filter((name) => !fleet.roles.has(name))
    .map((name) => ({
      file: node.file,
      line: 0,
      path: 'role',
      message: `there is no role ${name}`,
      hint: suggestion(name, [...fleet.roles.keys()], 'roles'),
    }));
}

function missingPackages(
  node: SiteNode,
  roles: readonly Role[],
  facts: ImageFacts,
): readonly Problem[] {
  return roles.flatMap((role) =>
    role.packages
      .filter((name) => !(name in facts.packages))
      .map((name) => ({
        file: node.file,
        line: 0,
        path: 'role',
        message: `the image ${node.image} lacks the package ${name} of the role ${role.name}`,
        hint: `rolecall build${node.image === 'universal' ? '' : ` ${node.image}`} --publish`,
      })),
  );
}

/** The same node of the same site has the same id at every boot (machine-id(5)). */
function machineId(site: string, node: string): string {
  const hex = digestOf(`rolecall machine-id ${site} ${node}`).slice(0, 32);
  // The bits of a random UUID, version 4, which some programs insist on.
  return `${hex.slice(0, 12)}4${hex.slice(13, 16)}a${hex.slice(17)}`;
}

function renderOwned(
  { path, role, content, target }: RenderedContent,
  facts: ImageFacts,
  problems: Problem[],
): OverlayFile {
  if (content === undefined) return rootLink(path, target ?? '');
  const rule = role.files[path] ?? {};
  const { uid, gid } = ownerOf(rule, role, `files.${path}`, facts, problems);
  return { path, kind: 'file', mode: Number.parseInt(rule.mode ?? '0644', 8), uid, gid, content };
}

function ownerOf(
  rule: { readonly owner?: string; readonly group?: string },
  role: Role,
  path: string,
  facts: ImageFacts,
  problems: Problem[],
): { readonly uid: number; readonly gid: number } {
  const owner = resolveOwnership(rule, facts);
  if (owner.ok) return owner;
  problems.push({
    file: roleFileName(role, 'role.yaml'),
    line: 0,
    path,
    message: owner.message,
    hint: 'list the package that makes it under packages, then: rolecall build --publish',
  });
  return { uid: 0, gid: 0 };
}

function renderReady({ roles, ready }: RenderedContents): readonly OverlayFile[] {
  return roles.map((role) => {
    const text = `#!/bin/sh\nset -eu\n${(ready.get(role.name) ?? '').trimEnd()}\n`;
    return rootFile(`${readyDir}/${role.name}`, text, 0o755);
  });
}

function renderModules(roles: readonly Role[]): readonly OverlayFile[] {
  const modules = [...new Set(roles.flatMap((role) => role.modules))];
  if (modules.length === 0) return [];
  return [rootFile('/etc/modules-load.d/rolecall.conf', `${modules.join('\n')}\n`)];
}

function renderSysctls(role: Role): readonly OverlayFile[] {
  const lines = Object.entries(role.sysctls).map(([key, value]) => `${key} = ${value}\n`);
  if (lines.length === 0) return [];
  return [rootFile(`/etc/sysctl.d/60-rolecall-${role.name}.conf`, lines.join(''))];
}

function renderRemove(roles: readonly Role[]): readonly OverlayFile[] {
  const paths = [...new Set(roles.flatMap((role) => role.remove))].sort();
  return paths.length === 0 ? [] : [rootFile(removeListPath, `${paths.join('\n')}\n`)];
}

function renderDataFolders(
  { site }: Fleet,
  node: SiteNode,
  { roles, memory, disks }: RenderedContents,
  facts: ImageFacts,
  problems: Problem[],
): readonly OverlayFile[] {
  const folders = roles.flatMap((role) =>
    Object.entries(role.data).map(([path, folder]) => ({
      path,
      memory: memory.get(pathKey(role, path)) ?? 0,
      disk: disks.get(pathKey(role, path)),
      mode: folder.mode ?? '0755',
      exclusive: folder.exclusive,
      ...ownerOf(folder, role, `data.${path}`, facts, problems),
    })),
  );
  const local = folders.filter(({ path }) => !volumeOfFolder(site, node, path));
  const asked = folders.filter(({ exclusive }) => exclusive === 'lock').map(({ path }) => path);
  return renderFstab(local, clientMounts(site, node, asked));
}

const unitPath = /^\/(?:usr\/lib|etc)\/systemd\/system\/([^/]+\.[a-z]+)$/;

function renderEnabled(
  node: SiteNode,
  roles: readonly Role[],
  own: readonly OverlayFile[],
  facts: ImageFacts,
  problems: Problem[],
): readonly OverlayFile[] {
  const install: Record<string, UnitInstall> = { ...facts.units };
  const path: Record<string, string> = {};
  for (const file of own) {
    const name = unitPath.exec(file.path)?.[1];
    if (name === undefined || file.kind !== 'file') continue;
    install[name] = parseUnitInstall(asText(file.content));
    path[name] = file.path;
  }
  const links = new Map<string, OverlayFile>();
  for (const role of roles) {
    const enabled = enableUnits(role.units, { install, path });
    for (const link of enabled.links) links.set(link.path, link);
    for (const { message, hint } of enabled.faults) {
      problems.push({
        file: roleFileName(role, 'role.yaml'),
        line: 0,
        path: 'units',
        message: `${message} (node ${node.name})`,
        hint,
      });
    }
  }
  return [...links.values()];
}

/** A role must not write what follows from the site or from `role.yaml`, but for the very same link. */
function joinFiles(
  own: readonly OverlayFile[],
  made: readonly OverlayFile[],
  node: SiteNode,
  problems: Problem[],
): readonly OverlayFile[] {
  const files = new Map<string, OverlayFile>(own.map((file) => [file.path, file]));
  for (const file of made) {
    const before = files.get(file.path);
    if (!before) files.set(file.path, file);
    else if (!isSameLink(before, file)) {
      problems.push({
        file: node.file,
        line: 0,
        path: 'role',
        message: `${file.path}: a role writes it, and it follows from the site or from role.yaml`,
        hint: 'take it out of the role',
      });
    }
  }
  return [...files.values()];
}

function isSameLink(a: OverlayFile, b: OverlayFile): boolean {
  return a.kind === 'symlink' && b.kind === 'symlink' && a.target === b.target;
}
