import { digestOf } from '../digest.ts';
import type { Problem } from '../errors.ts';
import { suggestion } from '../site/did-you-mean.ts';
import type { SiteNode } from '../site/site.ts';
import { enableUnits } from './enable-units.ts';
import { type Fleet, mountPoints, roleFileName, roleNames, rolesOf } from './fleet.ts';
import type { ImageFacts, UnitInstall } from './image-facts.ts';
import { type MergedPath, mergeOverlay } from './merge-overlay.ts';
import { type OverlayFile, type RegularFile, rootFile, rootLink } from './overlay-file.ts';
import { resolveOwnership } from './ownership.ts';
import { renderRamFolder } from './render-data-folders.ts';
import { renderLinks } from './render-links.ts';
import { renderTemplate } from './render-template.ts';
import type { Role, RoleFile } from './role.ts';
import { checkParams, mergeParams } from './role-params.ts';
import { createTemplateContext, type TemplateContext } from './template-context.ts';
import { parseUnitInstall } from './unit-file.ts';

export interface RenderInput {
  readonly fleet: Fleet;
  /** A node of the site, or a spare, as {@link spareNode} makes it. */
  readonly node: SiteNode;
  readonly facts: ImageFacts;
}

/** Every file that turns the image into a node, sorted by path, or all that is wrong. */
export type RenderedOverlay =
  | { readonly ok: true; readonly files: readonly OverlayFile[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Paths to delete from the image, one per line; the initramfs reads it and takes it away. */
export const removeListPath = '/.rolecall/remove';

/** Folder of the roles' ready commands, executable, named after their roles. */
export const readyDir = '/etc/rolecall/ready.d';

/**
 * Renders a node: its roles' files in order, `base` first, and what follows from the site and from
 * `role.yaml`: links, enabled units, machine-id, modules, sysctls, ready commands, paths to remove.
 * The same input gives the same files; nothing of time, place or chance is in them.
 */
export function renderOverlay(input: RenderInput): RenderedOverlay {
  const { fleet, node, facts } = input;
  const roles = rolesOf(fleet, node);
  const merged = mergeOverlay(node, roles);
  const problems: Problem[] = [...unknownRoles(fleet, node), ...merged.problems];
  const params = Object.fromEntries(
    roles.map((role) => {
      const checked = checkParams(role, mergeParams(fleet.site, node, role.name));
      for (const { keys, message, hint } of checked.faults) {
        const path = ['params', role.name, ...keys].join('.');
        problems.push({ file: node.file, line: 0, path, message, hint });
      }
      return [role.name, checked.params] as const;
    }),
  );
  // A template would only stumble over what is already reported.
  if (problems.length > 0) return { ok: false, problems };

  problems.push(...missingPackages(node, roles, facts));
  const context = createTemplateContext(fleet.site, node, params, fleet.siteTexts);
  const own = merged.paths.flatMap((path) => renderPath(path, fleet, context, facts, problems));
  const made = [
    rootFile('/etc/machine-id', `${machineId(fleet.site.name, node.name)}\n`),
    ...renderLinks(fleet.site, node),
    ...roles.flatMap((role) => renderReady(role, context, problems)),
    ...renderModules(roles),
    ...roles.flatMap(renderSysctls),
    ...renderRemove(roles),
    ...renderDataFolders(node, roles, input, context, problems),
    ...renderEnabled(node, roles, own, facts, problems),
  ];
  const files = addUnwritten(own, made, node, problems);
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, files: [...files].sort((a, b) => (a.path < b.path ? -1 : 1)) };
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
        hint: 'rolecall build --publish',
      })),
  );
}

/** The same node of the same site has the same id at every boot (machine-id(5)). */
function machineId(site: string, node: string): string {
  const hex = digestOf(`rolecall machine-id ${site} ${node}`).slice(0, 32);
  // The bits of a random UUID, version 4, which some programs insist on.
  return `${hex.slice(0, 12)}4${hex.slice(13, 16)}a${hex.slice(17)}`;
}

function renderPath(
  { path, parts }: MergedPath,
  fleet: Fleet,
  context: TemplateContext,
  facts: ImageFacts,
  problems: Problem[],
): readonly OverlayFile[] {
  const [first] = parts;
  if (!first) return [];
  if (first.file.kind === 'symlink') return [rootLink(path, first.file.target ?? '')];
  const contents = parts.map(({ role, file }) =>
    renderContent(role, file, fleet, context, problems),
  );
  const content = contents.length === 1 ? (contents[0] ?? '') : contents.map(asText).join('');
  const rule = first.role.files[path] ?? {};
  const owner = resolveOwnership(rule, facts);
  if (!owner.ok) {
    problems.push({
      file: roleFileName(first.role, 'role.yaml'),
      line: 0,
      path: `files.${path}`,
      message: owner.message,
      hint: missingAccountHint,
    });
  }
  const { uid, gid } = owner.ok ? owner : { uid: 0, gid: 0 };
  return [{ path, kind: 'file', mode: Number.parseInt(rule.mode ?? '0644', 8), uid, gid, content }];
}

function renderContent(
  role: Role,
  file: RoleFile,
  fleet: Fleet,
  context: TemplateContext,
  problems: Problem[],
): string | Uint8Array {
  const source = fleet.sources.get(file.source);
  if (source === undefined) throw new Error(`the source ${file.source} was not read`);
  if (file.kind !== 'template') return source;
  const name = roleFileName(role, `files${file.path}.ejs`);
  return renderText(asText(source), name, context, problems);
}

function renderText(
  source: string,
  file: string,
  context: TemplateContext,
  problems: Problem[],
  path = '',
): string {
  const rendered = renderTemplate(source, file, { ...context });
  if (rendered.ok) return rendered.text;
  problems.push({
    file,
    line: path === '' ? rendered.line : 0,
    path,
    message: rendered.message,
    hint: 'what a template sees is in docs/roles.md; a plain <% is written <%%',
  });
  return '';
}

function asText(content: string | Uint8Array): string {
  return typeof content === 'string' ? content : Buffer.from(content).toString('utf8');
}

function renderDataFolders(
  node: SiteNode,
  roles: readonly Role[],
  { fleet, facts }: RenderInput,
  context: TemplateContext,
  problems: Problem[],
): readonly OverlayFile[] {
  const onVolumes = mountPoints(fleet.site, node);
  return roles.flatMap((role) =>
    Object.entries(role.data)
      .filter(([path]) => !onVolumes.includes(path))
      .flatMap(([path, folder]) => {
        const file = roleFileName(role, 'role.yaml');
        const fault = (message: string, hint: string) =>
          problems.push({ file, line: 0, path: `data.${path}`, message, hint });
        const text = renderText(folder.memory, file, context, problems, `data.${path}.memory`);
        const memory = /^[1-9]\d{0,6}$/.test(text) ? Number(text) : 0;
        if (memory === 0) fault(`${JSON.stringify(text)} is no number of MiB`, 'such as 64');
        const owner = resolveOwnership(folder, facts);
        if (!owner.ok) fault(owner.message, missingAccountHint);
        const { uid, gid } = owner.ok ? owner : { uid: 0, gid: 0 };
        return renderRamFolder({ path, memory, mode: folder.mode ?? '0755', uid, gid });
      }),
  );
}

const missingAccountHint =
  'list the package that makes it under packages, then: rolecall build --publish';

function renderReady(
  role: Role,
  context: TemplateContext,
  problems: Problem[],
): readonly OverlayFile[] {
  const file = roleFileName(role, 'role.yaml');
  const command = renderText(role.ready, file, context, problems, 'ready');
  const text = `#!/bin/sh\nset -eu\n${command.trimEnd()}\n`;
  return [rootFile(`${readyDir}/${role.name}`, text, 0o755)];
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

/** What a role writes itself must not be what follows from the site. */
function addUnwritten(
  own: readonly OverlayFile[],
  made: readonly OverlayFile[],
  node: SiteNode,
  problems: Problem[],
): readonly OverlayFile[] {
  const written = new Map<string, OverlayFile | RegularFile>(own.map((file) => [file.path, file]));
  const files: OverlayFile[] = [...own];
  for (const file of made) {
    const before = written.get(file.path);
    if (!before) files.push(file);
    else if (
      before.kind !== 'symlink' ||
      file.kind !== 'symlink' ||
      before.target !== file.target
    ) {
      problems.push({
        file: node.file,
        line: 0,
        path: 'role',
        message: `${file.path}: a role writes it, and it follows from the site or from role.yaml`,
        hint: 'take it out of the role',
      });
    }
  }
  return files;
}
