import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { AppError } from '../errors.ts';
import { renderProblems } from '../render-problems.ts';
import { describeParameters } from '../roles/describe-parameters.ts';
import { baseRole } from '../roles/fleet.ts';
import { loadFleet } from '../roles/load-fleet.ts';
import { loadRoles } from '../roles/load-roles.ts';
import { renderRolePage } from '../roles/render-role-page.ts';
import type { Role } from '../roles/role.ts';
import { suggestion } from '../site/did-you-mean.ts';
import { sortProblems } from '../site/parse-site.ts';
import type { Site } from '../site/site.ts';
import { type RegisterCommand, say } from './command.ts';
import { renderTable } from './table.ts';

/** `rolecall role`: what a machine can be. */
export const register: RegisterCommand = (program, globals) => {
  const role = program.command('role').description('what a machine can be');

  role
    .command('ls')
    .description("list the shipped roles and the site's own")
    .action(async () => {
      const { roles, site } = await rolesHere(globals().site);
      const rows = [...roles.values()].map((r) => ({
        name: r.name,
        from: r.own ? 'site' : 'shipped',
        nodes: nodesOf(site, r),
        summary: r.summary,
      }));
      if (globals().json) return say(JSON.stringify(rows, null, 2));
      say(
        renderTable(
          ['role', 'from', 'nodes', 'summary'],
          rows.map((row) => [row.name, row.from, String(row.nodes.length), row.summary]),
        ),
      );
    });

  role
    .command('show')
    .description('show what a role takes and brings')
    .argument('<role>')
    .action(async (name: string) => {
      const { roles, site } = await rolesHere(globals().site);
      const found = roles.get(name);
      if (!found) {
        const hint = suggestion(name, [...roles.keys()], 'roles');
        throw new AppError('no-role', `there is no role ${name}`, hint);
      }
      if (globals().json) return say(JSON.stringify([describe(found, site)], null, 2));
      say(renderRole(found, nodesOf(site, found)));
    });

  role
    .command('pages')
    .description('write a page of documentation for each role: <dir>/<role>.md')
    .argument('<dir>')
    .action(async (dir: string) => {
      const { roles } = await rolesHere(globals().site);
      const folder = resolve(dir);
      await mkdir(folder, { recursive: true });
      const written = [...roles.values()].map((r) => ({
        role: r.name,
        file: join(folder, `${r.name}.md`),
        text: renderRolePage(r, roles.get(baseRole)),
      }));
      for (const { file, text } of written) await writeFile(file, text);
      if (globals().json) {
        return say(
          JSON.stringify(
            written.map((w) => ({ role: w.role, file: w.file })),
            null,
            2,
          ),
        );
      }
      for (const { file } of written) say(file);
    });
};

/** The roles, and the site where its folder holds a valid one: roles can be looked at without. */
async function rolesHere(dir: string) {
  const fleet = await loadFleet(dir);
  if (fleet.ok) return { roles: fleet.value.roles, site: fleet.value.site };
  const roles = await loadRoles(dir);
  if (roles.ok) return { roles: roles.value, site: undefined };
  throw new AppError('invalid-site', renderProblems(sortProblems(roles.problems)));
}

function nodesOf(site: Site | undefined, role: Role): readonly string[] {
  return [...(site?.nodes.values() ?? [])]
    .filter((node) => role.name === 'base' || node.roles.includes(role.name))
    .map((node) => node.name);
}

function describe(role: Role, site: Site | undefined) {
  const { tree, ...rest } = role;
  return { ...rest, paths: tree.map((file) => file.path), nodes: nodesOf(site, role) };
}

function renderRole(role: Role, nodes: readonly string[]): string {
  const part = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : ['', title, ...lines.map((line) => `  ${line}`)];
  return [
    `${role.name}: ${role.summary}`,
    `${role.own ? "the site's own, in" : 'shipped in'} ${role.dir}`,
    ...part('nodes', nodes),
    ...part(
      'parameters',
      describeParameters(role.parameters).map(
        ({ name, type, preset, required, bounds, description }) => {
          const value = preset === '' ? (required ? ', required' : '') : ` = ${preset}`;
          const limits = bounds === '' ? '' : `, ${bounds}`;
          return `${name}${value} (${type}${limits})${description ? `: ${description}` : ''}`;
        },
      ),
    ),
    ...part('packages', role.packages),
    ...part('units', role.units),
    ...part('listens on', role.listens ?? ['it does not say']),
    ...part(
      'files',
      role.tree.map((file) => file.path),
    ),
    ...part('data', Object.keys(role.data)),
    ...part(
      'when files change',
      role.reload.map(({ paths, unit, action }) => {
        return `${paths.join(' ')}: ${action === 'none' ? 'read anew' : `${action} ${unit}`}`;
      }),
    ),
    ...part('ready', role.ready.trimEnd().split('\n')),
  ].join('\n');
}
