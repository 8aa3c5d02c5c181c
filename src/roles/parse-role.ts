import type { Problem, Result } from '../errors.ts';
import { isLabel } from '../site/read-values.ts';
import { type Fields, parseYaml, type YamlPlace } from '../site/yaml-file.ts';
import { notAPort } from './listening.ts';
import type { DataFolder, ReloadRule, Role, RoleFile, RoleFileRule, SecretFile } from './role.ts';
import { schemaProblem } from './role-params.ts';

/** A role folder as read from disk. */
export interface RoleFolder {
  readonly name: string;
  /** Absolute path of the folder. */
  readonly dir: string;
  readonly own: boolean;
  /** Name of `role.yaml` in messages, such as `roles/web/role.yaml`. */
  readonly file: string;
  /** Text of `role.yaml`. */
  readonly text: string;
  readonly tree: readonly RoleFile[];
}

/** The role of a folder, or every problem in its `role.yaml`. */
export function parseRole(folder: RoleFolder): Result<Role> {
  const problems: Problem[] = [];
  const place = parseYaml(folder.file, folder.text, problems);
  const role = place && readRole(place, folder);
  return role && problems.length === 0 ? { ok: true, value: role } : { ok: false, problems };
}

const roleKeys = [
  'summary',
  'packages',
  'units',
  'listens',
  'modules',
  'arguments',
  'sysctls',
  'parameters',
  'needs',
  'files',
  'remove',
  'data',
  'secrets',
  'ready',
  'reload',
] as const;

function readRole(place: YamlPlace, folder: RoleFolder): Role | undefined {
  const fields = place.fields(roleKeys);
  if (!fields) return undefined;
  if (!isLabel(folder.name)) {
    place.problem(
      `${folder.name} cannot be the name of a role`,
      'name the folder with lower-case letters, digits and dashes',
    );
  }
  for (const file of folder.tree) checkTreePath(place, file.path);
  if (!fields.summary) place.problem('summary is missing', 'such as summary: a web server (nginx)');
  if (!fields.ready) {
    place.problem('ready is missing', 'a command that uses the service as a client would');
  }
  const role = {
    name: folder.name,
    dir: folder.dir,
    own: folder.own,
    summary: fields.summary?.text('a web server (nginx)') ?? '',
    packages: readWords(fields.packages, /^[a-z0-9][a-z0-9.+-]+$/, 'the name of a Debian package'),
    units: readWords(fields.units, unitName, 'a systemd unit, such as nginx.service'),
    ...(fields.listens ? { listens: readListens(fields.listens) } : {}),
    modules: readWords(fields.modules, /^[A-Za-z0-9_-]+$/, 'the name of a kernel module'),
    arguments: readWords(fields.arguments, /^[!-~]+$/, 'a kernel argument'),
    sysctls: readSysctls(fields.sysctls),
    parameters: readParameters(fields.parameters),
    needs: readNeeds(fields.needs),
    files: readFileRules(fields.files, folder.tree),
    tree: folder.tree,
    remove: readRemove(fields.remove, folder.tree),
    data: readData(fields.data),
    secrets: readSecrets(fields.secrets, folder.tree),
    ready: fields.ready?.text('curl -fsS http://localhost/') ?? '',
    reload: readReload(fields.reload),
  };
  return role;
}

/** On a merged-/usr Debian these are links: a file put there would replace the link or follow it. */
const mergedFolders = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'];

/** What is mounted over them after the overlay is unpacked hides every file there. */
const mountedFolders = ['dev', 'proc', 'run', 'sys', 'tmp'];

function checkTreePath(place: YamlPlace, path: string): void {
  const folder = path.split('/')[1] ?? '';
  if (!/^[\x20-\x5b\x5d-\x7e]+$/.test(path)) {
    place.problem(`the name of ${path} cannot be packed`, 'use ASCII without a backslash');
  } else if (mergedFolders.includes(folder)) {
    place.problem(`${path} lies in a folder that is a link`, `write it under files/usr${path}`);
  } else if (mountedFolders.includes(folder)) {
    place.problem(`${path} is hidden by what is mounted on /${folder}`, 'use tmpfiles.d(5)');
  }
}

const unitName =
  /^[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]*)?\.(service|socket|timer|path|mount|automount|target|swap)$/;

function readWords(place: YamlPlace | undefined, shape: RegExp, what: string): readonly string[] {
  const words: string[] = [];
  for (const item of place?.items() ?? []) {
    const word = item.text();
    if (word === undefined) continue;
    if (!shape.test(word)) item.problem(`${word} is not ${what}`);
    else if (words.includes(word)) item.problem(`${word} is listed twice`, 'once is enough');
    else words.push(word);
  }
  return words;
}

/** What is no template is looked at here, the others once they are rendered. */
function readListens(place: YamlPlace): readonly string[] {
  return place.items().flatMap((item) => {
    const text = item.text('tcp/80');
    if (text === undefined) return [];
    const wrong = text.includes('<%') ? undefined : notAPort(text);
    if (wrong !== undefined) item.problem(wrong, 'such as tcp/80');
    return [text];
  });
}

function readSysctls(place: YamlPlace | undefined): Readonly<Record<string, string>> {
  const sysctls: Record<string, string> = {};
  for (const [key, value] of place?.entries('such as sysctls: {net.ipv4.ip_forward: 1}') ?? []) {
    const text = value.text('1');
    if (!/^[a-z0-9_./*-]+$/i.test(key)) value.problem(`${key} is not the name of a sysctl`);
    else if (text !== undefined) sysctls[key] = text;
  }
  return sysctls;
}

/** A role takes no parameters but those it declares, unless its schema says otherwise. */
function readParameters(place: YamlPlace | undefined): Readonly<Record<string, unknown>> {
  const none = { type: 'object', additionalProperties: false, properties: {} };
  if (!place) return none;
  const written = place.plain();
  if (typeof written !== 'object' || written === null || Array.isArray(written)) {
    place.problem('parameters must be a JSON Schema', 'such as parameters: {properties: {…}}');
    return none;
  }
  const schema = { type: 'object', additionalProperties: false, ...written };
  const problem = schemaProblem(schema);
  if (problem !== undefined) {
    place.problem(`parameters is no JSON Schema: ${problem}`, 'json-schema.org, draft 2020-12');
    return none;
  }
  return schema;
}

function readNeeds(place: YamlPlace | undefined): Role['needs'] {
  const fields = place?.fields(['memory', 'disks', 'nics'] as const);
  const needs: { memory?: number; disks?: number; nics?: number } = {};
  for (const key of ['memory', 'disks', 'nics'] as const) {
    const item = fields?.[key];
    const text = item?.text('1');
    if (item === undefined || text === undefined) continue;
    if (/^\d{1,7}$/.test(text)) needs[key] = Number(text);
    else item.problem(`${text} is no number`, key === 'memory' ? 'MiB, such as 512' : 'such as 1');
  }
  return needs;
}

/** The names and numbers that an account has: `www-data`, `0`. */
const account = /^[a-z_][a-z0-9_-]*$|^\d{1,9}$/;

function readFileRules(
  place: YamlPlace | undefined,
  tree: readonly RoleFile[],
): Readonly<Record<string, RoleFileRule>> {
  const rules: Record<string, RoleFileRule> = {};
  const paths = tree.map((file) => file.path);
  for (const [path, at] of place?.entries('such as files: {/etc/motd: {mode: 0600}}') ?? []) {
    const fields = at.fields(['mode', 'owner', 'group', 'append'] as const);
    if (!fields) continue;
    if (!paths.includes(path)) {
      at.problem(`this role has no file ${path}`, nearPath(path, paths));
    }
    const append = fields.append?.flag();
    rules[path] = {
      ...readOwnership(fields),
      ...(append === undefined ? {} : { append }),
    };
  }
  return rules;
}

/** Mode, owner and group of a file or folder. */
function readOwnership(fields: Fields<'mode' | 'owner' | 'group'>) {
  const mode = fields.mode?.text('0640');
  if (mode !== undefined && !/^[0-7]{3,4}$/.test(mode)) {
    fields.mode?.problem(`${mode} is no file mode`, 'three or four octal digits, such as 0640');
  }
  const owner = readAccount(fields.owner);
  const group = readAccount(fields.group);
  return {
    ...(mode === undefined ? {} : { mode }),
    ...(owner === undefined ? {} : { owner }),
    ...(group === undefined ? {} : { group }),
  };
}

function readData(place: YamlPlace | undefined): Readonly<Record<string, DataFolder>> {
  const folders: Record<string, DataFolder> = {};
  for (const [path, at] of place?.entries('such as data: {/srv/mail: {memory: 64}}') ?? []) {
    const fields = at.fields([
      ...(['memory', 'disk', 'exclusive', 'mode', 'owner', 'group'] as const),
    ]);
    if (!/^(\/[A-Za-z0-9_.-]+)+$/.test(path)) {
      at.problem(`${path} is no folder on the node`, 'such as /srv/mail');
    }
    if (!fields) continue;
    if (!fields.memory) at.problem('memory is missing', 'MiB of RAM at most, such as memory: 64');
    const exclusive = fields.exclusive?.oneOf(['true', 'false', 'lock']);
    const disk = fields.disk?.text('"<%= params.logs.disk %>"');
    folders[path] = {
      memory: fields.memory?.text('64') ?? '',
      ...(disk === undefined ? {} : { disk }),
      ...(exclusive === undefined
        ? {}
        : { exclusive: exclusive === 'lock' ? exclusive : exclusive === 'true' }),
      ...readOwnership(fields),
    };
  }
  return folders;
}

function readSecrets(
  place: YamlPlace | undefined,
  tree: readonly RoleFile[],
): Readonly<Record<string, SecretFile>> {
  const secrets: Record<string, SecretFile> = {};
  const example = 'such as secrets: {/etc/ssl/private/mail.pem: {certificate: mail, hosts: …}}';
  for (const [path, at] of place?.entries(example) ?? []) {
    const fields = at.fields(['certificate', 'hosts', 'mode', 'owner', 'group'] as const);
    if (!/^\/etc(\/[A-Za-z0-9_.-]+)+$/.test(path) || path.includes('/../')) {
      at.problem(`${path} is no file below /etc`, 'such as /etc/ssl/private/mail.pem');
    } else if (tree.some((file) => file.path === path)) {
      at.problem(`${path} is a secret and a file of the same role`, 'keep one of the two');
    }
    if (!fields) continue;
    const name = fields.certificate?.text('mail');
    if (!fields.certificate) at.problem('certificate is missing', 'its name, such as mail');
    else if (name !== undefined && !isLabel(name)) {
      fields.certificate.problem(
        `${name} cannot be the name of a certificate`,
        'lower-case letters, digits and dashes',
      );
    }
    if (!fields.hosts) at.problem('hosts is missing', 'such as hosts: mail.lab.example');
    secrets[path] = {
      certificate: name ?? '',
      hosts: fields.hosts?.text('mail.lab.example') ?? '',
      ...readOwnership(fields),
    };
  }
  return secrets;
}

function readAccount(place: YamlPlace | undefined): string | undefined {
  const name = place?.text('www-data');
  if (name === undefined || account.test(name)) return name;
  return place?.problem(`${name} cannot be a user or group`, 'a name such as www-data');
}

function nearPath(path: string, paths: readonly string[]): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const near = paths.find((p) => p.endsWith(`/${name}`));
  return near ? `did you mean ${near}?` : `put it under files${path}`;
}

function readRemove(place: YamlPlace | undefined, tree: readonly RoleFile[]): readonly string[] {
  const paths: string[] = [];
  for (const item of place?.items() ?? []) {
    const path = item.text('/etc/nginx/sites-enabled/default');
    if (path === undefined) continue;
    const parts = path.split('/').slice(1);
    if (!path.startsWith('/') || parts.some((p) => ['', '.', '..'].includes(p))) {
      item.problem(`${path} is no absolute path on the node`, 'such as /etc/motd');
    } else if (tree.some((file) => file.path === path)) {
      item.problem(`${path} is removed and written by the same role`, 'keep one of the two');
    } else paths.push(path);
  }
  return paths;
}

function readReload(place: YamlPlace | undefined): readonly ReloadRule[] {
  const rules: ReloadRule[] = [];
  for (const item of place?.items() ?? []) {
    const fields = item.fields(['paths', 'check', 'unit', 'action'] as const);
    if (!fields) continue;
    const action = fields.action?.oneOf(['reload', 'restart', 'none'] as const) ?? 'reload';
    if (!fields.paths) item.problem('paths is missing', 'such as paths: [/etc/nginx/**]');
    if (!fields.unit && action !== 'none') {
      item.problem('unit is missing', 'such as unit: nginx.service; action: none where none acts');
    }
    const paths = readWords(fields.paths, /^\//, 'an absolute path');
    const check = fields.check?.text('nginx -t');
    if (check?.trimEnd().includes('\n')) {
      fields.check?.problem('check has several lines', 'join them with && or ;');
    }
    const unit = readWords(fields.unit, unitName, 'a systemd unit, such as nginx.service')[0] ?? '';
    rules.push({ paths, unit, action, ...(check === undefined ? {} : { check: check.trim() }) });
  }
  return rules;
}
