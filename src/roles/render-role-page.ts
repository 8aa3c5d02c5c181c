import { describeParameters } from './describe-parameters.ts';
import { matchesPath } from './match-path.ts';
import type { DataFolder, ReloadRule, Role, RoleFile } from './role.ts';

/**
 * A role's page for people (Markdown), of what its role.yaml says. `base` is the role that every node has,
 * whose reload rules hold for the files of all.
 */
export function renderRolePage(role: Role, base: Role | undefined): string {
  const rules = [
    ...role.reload,
    ...(base === undefined || base.name === role.name ? [] : base.reload),
  ];
  return `${[
    `# ${role.name}`,
    `${plain(upperFirst(role.summary))}.`,
    'Written by `rolecall role pages` from role.yaml. What each part means is in `docs/roles.md`.',
    ...section('Parameters', parametersOf(role)),
    ...section('Listens on', listensOf(role)),
    ...section('Packages', words(role.packages)),
    ...section('Units', words(role.units)),
    ...section('Kernel', kernelOf(role)),
    ...section(
      'Needs',
      words(Object.entries(role.needs).map(([key, value]) => `${key}: ${value}`)),
    ),
    ...section('Data', dataOf(role)),
    ...section('Secrets', secretsOf(role)),
    ...section('Files', filesOf(role, rules)),
    ...section('Removes', words(role.remove)),
    ...section('When files change', reloadOf(role)),
    ...section('Ready when this ends with 0', [indented(role.ready)]),
  ].join('\n\n')}\n`;
}

function section(title: string, body: readonly string[]): readonly string[] {
  return body.length === 0 ? [] : [`## ${title}`, ...body];
}

function words(all: readonly string[]): readonly string[] {
  return all.length === 0 ? [] : [all.map(code).join(', ')];
}

function parametersOf(role: Role): readonly string[] {
  const rows = describeParameters(role.parameters).map((p) => [
    code(p.name),
    p.type,
    p.preset === '' ? (p.required ? 'required' : '') : code(p.preset),
    p.bounds === '' ? '' : code(p.bounds),
    plain(p.description),
  ]);
  return table(['name', 'type', 'default', 'bounds', 'meaning'], rows);
}

function listensOf(role: Role): readonly string[] {
  if (role.listens === undefined) return ['The role does not say.'];
  return role.listens.length === 0 ? ['Nothing.'] : words(role.listens);
}

function kernelOf(role: Role): readonly string[] {
  const sysctls = Object.entries(role.sysctls).map(([key, value]) => `${key} = ${value}`);
  const lines = [
    ...role.modules.map((name) => `- module ${code(name)}`),
    ...role.arguments.map((word) => `- argument ${code(word)}`),
    ...sysctls.map((line) => `- sysctl ${code(line)}`),
  ];
  return lines.length === 0 ? [] : [lines.join('\n')];
}

function dataOf(role: Role): readonly string[] {
  const rows = Object.entries(role.data).map(([path, data]) => [
    code(path),
    code(data.memory),
    data.disk === undefined ? '' : code(data.disk),
    ownership(data, '0755'),
    sharing(data),
  ]);
  return table(
    ['folder', 'MiB of RAM at most', 'or on the disk', 'mode and owner', 'shared'],
    rows,
  );
}

function sharing({ exclusive }: DataFolder): string {
  if (exclusive === 'lock') return 'one node at a time; others wait for their turn';
  return exclusive ? 'one node at a time' : '';
}

function secretsOf(role: Role): readonly string[] {
  const rows = Object.entries(role.secrets).map(([path, secret]) => [
    code(path),
    `key and certificate ${code(secret.certificate)}`,
    ownership(secret, '0600'),
  ]);
  return table(['path', 'what', 'mode and owner'], rows);
}

function filesOf(role: Role, rules: readonly ReloadRule[]): readonly string[] {
  const rows = role.tree.map((file) => [
    code(file.path),
    file.kind === 'file' ? '' : file.kind,
    file.kind === 'symlink'
      ? code(file.target ?? '')
      : ownership(role.files[file.path] ?? {}, '0644'),
    changeOf(file, rules),
  ]);
  return table(['path', 'kind', 'mode and owner', 'a change'], rows);
}

function changeOf(file: RoleFile, rules: readonly ReloadRule[]): string {
  const found = rules.filter((rule) => rule.paths.some((glob) => matchesPath(glob, file.path)));
  if (found.length === 0) return 'needs a reboot';
  return found.map(actionOf).join(', ');
}

function actionOf({ unit, action }: ReloadRule): string {
  return action === 'none' ? 'is read anew' : `${action}s ${code(unit)}`;
}

function reloadOf(role: Role): readonly string[] {
  const rows = role.reload.map((rule) => [
    rule.paths.map(code).join(', '),
    rule.check === undefined ? '' : code(rule.check),
    actionOf(rule),
  ]);
  return table(['paths', 'checked by', 'a change'], rows);
}

function ownership(
  rule: { readonly mode?: string; readonly owner?: string; readonly group?: string },
  preset: string,
): string {
  const owner = rule.owner ?? 'root';
  return `${rule.mode ?? preset} ${owner}:${rule.group ?? owner}`;
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  if (rows.length === 0) return [];
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [[line(titles), `|${titles.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')];
}

/** Within a table a bar ends the cell, also in code (GitHub Flavored Markdown, section 4.10). */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

/** Text that is no HTML (CommonMark section 6.6). */
function plain(text: string): string {
  return text.replaceAll('<', '&lt;');
}

function code(text: string): string {
  return text.includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``;
}

function indented(text: string): string {
  return text.trimEnd().replace(/^(?=.)/gm, '    ');
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
