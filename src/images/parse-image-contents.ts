import { join } from 'node:path';
import type { Fields, YamlPlace } from '../site/yaml-file.ts';
import { packageName, places, readPath, readShape, readWords } from './definition-fields.ts';
import type {
  CopiedFiles,
  ExtraSource,
  Hook,
  ImageContents,
  ImageUser,
} from './image-definition.ts';

/** Keys of what an image brings: those of every image besides its name. */
export const contentsKeys = [
  'packages',
  'sources',
  'answers',
  'users',
  'files',
  'hooks',
  'prune',
] as const;

/** The folder of a definition, from which its paths are, and what is there. */
export interface OwnFolder {
  readonly path: string;
  readonly exists: (path: string) => boolean;
}

const account = /^[a-z_][a-z0-9_-]{0,31}$/;

/** What the image brings, as far as nothing is wrong with it. */
export function readContents(
  fields: Fields<(typeof contentsKeys)[number]>,
  folder: OwnFolder,
): ImageContents {
  const prune = fields.prune?.fields(['paths', 'modules'] as const);
  return {
    packages: readWords(fields.packages, packageName, 'a package name (Debian policy 5.6.7)'),
    sources: places(fields.sources).flatMap((item) => readSource(item, folder)),
    answers: places(fields.answers).flatMap((item) => item.text() ?? []),
    users: places(fields.users).flatMap(readUser),
    files: places(fields.files).flatMap((item) => readFiles(item, folder)),
    hooks: places(fields.hooks).flatMap((item) => readHook(item, folder)),
    prune: {
      paths: places(prune?.paths).flatMap((item) => readPath(item) ?? []),
      modules: places(prune?.modules).flatMap((item) => readPath(item) ?? []),
    },
  };
}

/** A path of the site: from the folder of the definition on, and in it. */
function readOwnPath(place: YamlPlace, folder: OwnFolder): string | undefined {
  const text = place.text('files/edge');
  if (text === undefined) return undefined;
  if (!text.startsWith('/') && !text.split('/').includes('..')) {
    const path = join(folder.path, text);
    if (folder.exists(path)) return path;
    return place.problem(`${path} is not there`, 'put it there, or correct its name');
  }
  return place.problem(
    `${text} leads out of the folder of image definitions`,
    'put it beside the definition, and name it from there on: files/edge',
  );
}

function readSource(place: YamlPlace, folder: OwnFolder): ExtraSource[] {
  const keys = ['uri', 'suite', 'components', 'key'] as const;
  const fields = place.fields(keys);
  if (!fields) return [];
  const example = '{uri: https://…/debian, suite: trixie, components: [main], key: keys/x.asc}';
  for (const key of keys) if (!fields[key]) place.problem(`${key} is missing`, example);
  const key = fields.key && readOwnPath(fields.key, folder);
  const uri = readShape(
    fields.uri,
    /^https?:\/\/[^\s@]+$/,
    'the address of a repository',
    'https://…',
  );
  const suite = readShape(fields.suite, /^[A-Za-z0-9][\w./+-]*$/, 'a suite', 'trixie');
  const components = readWords(fields.components, /^[\w.+/-]+$/, 'a component, such as main');
  if (fields.components && components.length === 0) {
    fields.components.problem('components is empty', 'such as components: [main]');
  }
  if (key === undefined) return [];
  return [{ uri: uri.replace(/\/+$/, ''), suite, components, key }];
}

function readUser(place: YamlPlace): ImageUser[] {
  const fields = place.fields(['name', 'uid', 'groups', 'shell', 'home', 'system'] as const);
  if (!fields) return [];
  if (!fields.name) place.problem('name is missing', 'such as {name: deploy, uid: 1500}');
  const uid = fields.uid?.text('1500');
  if (uid !== undefined && !/^\d{1,5}$/.test(uid)) {
    fields.uid?.problem(`${uid} is no user id`, 'a number up to 59999, such as uid: 1500');
  }
  const absolute = /^\/[!-~]*$/;
  return [
    {
      name: readShape(fields.name, account, 'the name of an account', 'deploy'),
      uid: uid === undefined ? undefined : Number(uid),
      groups: readWords(fields.groups, account, 'the name of a group'),
      shell: fields.shell ? readShape(fields.shell, absolute, 'a path', '/bin/bash') : noShell,
      home: fields.home && readShape(fields.home, absolute, 'a path', '/home/deploy'),
      system: fields.system?.flag() ?? false,
    },
  ];
}

/** Who needs no shell gets none. */
const noShell = '/usr/sbin/nologin';

function readFiles(place: YamlPlace, folder: OwnFolder): CopiedFiles[] {
  if (!place.isMapping) {
    const from = readOwnPath(place, folder);
    return from === undefined ? [] : [{ from, to: '', mode: undefined, owner: 'root:root' }];
  }
  const fields = place.fields(['from', 'to', 'mode', 'owner'] as const) ?? {};
  if (!fields.from) place.problem('from is missing', 'such as {from: files/motd, to: etc/motd}');
  const from = fields.from && readOwnPath(fields.from, folder);
  const to = readPath(fields.to) ?? '';
  const mode = fields.mode?.text('0640');
  if (mode !== undefined && !/^0?[0-7]{3,4}$/.test(mode)) {
    fields.mode?.problem(`${mode} is no mode`, 'octal digits, such as mode: 0640');
  }
  const owner = fields.owner
    ? readShape(
        fields.owner,
        /^[a-z_0-9][a-z0-9_-]*:[a-z_0-9][a-z0-9_-]*$/,
        'user:group',
        'root:adm',
      )
    : 'root:root';
  if (from === undefined) return [];
  return [{ from, to, mode: mode === undefined ? undefined : Number.parseInt(mode, 8), owner }];
}

function readHook(place: YamlPlace, folder: OwnFolder): Hook[] {
  if (!place.isMapping) {
    const run = readOwnPath(place, folder);
    return run === undefined ? [] : [{ run, network: false, secrets: [] }];
  }
  const fields = place.fields(['run', 'network', 'secrets'] as const) ?? {};
  if (!fields.run) place.problem('run is missing', 'such as {run: hooks/setup, network: true}');
  const run = fields.run && readOwnPath(fields.run, folder);
  if (run === undefined) return [];
  return [
    {
      run,
      network: fields.network?.flag() ?? false,
      secrets: readWords(fields.secrets, /^[A-Za-z0-9][\w.-]*$/, 'the name of a file'),
    },
  ];
}
