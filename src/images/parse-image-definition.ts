import { dirname, join } from 'node:path';
import type { Problem, Result } from '../errors.ts';
import { type Fields, parseYaml, type YamlPlace } from '../site/yaml-file.ts';
import type { Architecture, Distribution } from './distributions/distribution.ts';
import { distributions } from './distributions/distributions.ts';
import { hardwareClasses } from './hardware-class.ts';
import type {
  Compression,
  CopiedFiles,
  ExtraSource,
  Hook,
  ImageContents,
  ImageDefinition,
  ImageUser,
  LoaderSource,
} from './image-definition.ts';

/** Keys of every image. */
const sharedKeys = [
  'name',
  'packages',
  'sources',
  'answers',
  'users',
  'files',
  'hooks',
  'prune',
] as const;

/** Keys of an image that extends no other; one that does has its parent's. */
const baseKeys = [
  'distribution',
  'suite',
  'variant',
  'kernel',
  'rolePackages',
  'date',
  'hardware',
  'locale',
  'compression',
  'loaders',
] as const;

const allKeys = [...sharedKeys, ...baseKeys, 'extends'] as const;
type Keys = Fields<(typeof allKeys)[number]>;

/** What a definition names besides itself. */
export interface DefinitionWorld {
  /** The definition that another one extends; its problems are told with those of the other. */
  readonly findParent: (name: string) => Promise<Result<ImageDefinition>>;
  readonly exists: (path: string) => boolean;
}

/** The folder of a definition, from which its paths are, and what is there. */
interface OwnFolder extends Pick<DefinitionWorld, 'exists'> {
  readonly path: string;
}

/** The definition in a YAML text, or every problem of it with its line. Paths in it are from its folder on. */
export async function parseImageDefinition(
  text: string,
  file: string,
  { findParent, exists }: DefinitionWorld,
): Promise<Result<ImageDefinition>> {
  const problems: Problem[] = [];
  const place = parseYaml(file, text, problems);
  const fields = place?.fields(allKeys);
  if (!place || !fields) return { ok: false, problems };
  const name = readName(fields.name, place);
  const contents = readContents(fields, { path: dirname(file), exists });
  let value: ImageDefinition | undefined;
  if (fields.extends) {
    const parent = await readParent(fields, findParent, problems);
    // Roles' packages are the parent's matter: a child adds what it names.
    value = parent && { ...parent, ...contents, name, parent, rolePackages: false };
  } else {
    value = readBase(place, fields, name, contents);
  }
  if (value && problems.length === 0) return { ok: true, value };
  return { ok: false, problems: problems.toSorted((a, b) => a.line - b.line) };
}

async function readParent(
  fields: Keys,
  findParent: DefinitionWorld['findParent'],
  problems: Problem[],
): Promise<ImageDefinition | undefined> {
  const parentName = fields.extends?.text('universal');
  if (parentName === undefined) return undefined;
  for (const key of baseKeys) {
    fields[key]?.problem(
      `${key} is what ${parentName} says, which this image extends`,
      `take it out here, or change it in images/${parentName}.yaml`,
    );
  }
  const found = await findParent(parentName);
  if (found.ok) return found.value;
  fields.extends?.problem(`the image ${parentName} is none that can be extended`, 'see there');
  problems.push(...found.problems);
  return undefined;
}

function readBase(
  place: YamlPlace,
  fields: Keys,
  name: string,
  contents: ImageContents,
): ImageDefinition {
  const named = fields.distribution?.oneOf(Object.keys(distributions)) ?? 'debian';
  const distribution = distributions[named] as Distribution;
  for (const key of ['suite', 'kernel', 'date'] as const) {
    if (!fields[key]) place.problem(`${key} is missing`, examples[key]);
  }
  return {
    ...contents,
    name,
    distribution,
    suite: readShape(fields.suite, /^[a-z]+$/, "a suite's code name", 'trixie'),
    variant: fields.variant?.oneOf(['minbase', 'extract'] as const) ?? 'minbase',
    kernel: readKernel(fields.kernel, distribution),
    rolePackages: fields.rolePackages?.flag() ?? true,
    date: readDate(fields.date),
    hardware: readHardware(fields.hardware),
    locale: fields.locale && readShape(fields.locale, localeName, 'a locale', 'de_DE.UTF-8'),
    compression: readCompression(fields.compression),
    loaders: readLoaders(fields.loaders),
  };
}

const examples = {
  suite: 'such as suite: trixie',
  kernel: 'such as kernel: general',
  date: 'no file of the image is younger; such as date: 2025-08-09T00:00:00Z',
} as const;

const packageName = /^[a-z0-9][a-z0-9+.-]+$/;
const imageName = /^[a-z0-9][a-z0-9-]*$/;
const localeName = /^[a-z]{2,3}_[A-Z]{2}(\.[A-Za-z0-9-]+)?(@[a-z]+)?$/;
const account = /^[a-z_][a-z0-9_-]{0,31}$/;

function readName(name: YamlPlace | undefined, place: YamlPlace): string {
  if (!name) {
    place.problem('name is missing', 'the name of the file without .yaml');
    return '';
  }
  return readShape(name, imageName, 'lower-case letters, digits and dashes', 'edge');
}

function readContents(fields: Keys, folder: OwnFolder): ImageContents {
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

function places(place: YamlPlace | undefined): readonly YamlPlace[] {
  return place?.items() ?? [];
}

function readShape(
  place: YamlPlace | undefined,
  shape: RegExp,
  what: string,
  example: string,
): string {
  const text = place?.text(example) ?? '';
  if (text !== '' && !shape.test(text)) {
    place?.problem(`${text} is not ${what}`, `such as ${place.name}: ${example}`);
  }
  return text;
}

function readWords(place: YamlPlace | undefined, shape: RegExp, what: string): readonly string[] {
  const words: string[] = [];
  for (const item of places(place)) {
    const word = item.text();
    if (word === undefined) continue;
    if (!shape.test(word)) item.problem(`${word} is not ${what}`, 'correct it, or take it out');
    else if (words.includes(word)) item.problem(`${word} is listed twice`, 'once is enough');
    else words.push(word);
  }
  return words;
}

/** A path below the root, without a leading slash. */
function readPath(place: YamlPlace | undefined): string | undefined {
  const text = place?.text('usr/share/doc');
  if (text === undefined) return undefined;
  if (!text.startsWith('/') && !text.split('/').includes('..')) return text;
  return place?.problem(
    `${text} is not a path below the root`,
    'write it without a leading slash and without ..',
  );
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

function readDate(place: YamlPlace | undefined): Date {
  const text = place?.text('2025-08-09T00:00:00Z') ?? '1970-01-01';
  const date = new Date(text);
  if (/^\d{4}-\d{2}-\d{2}/.test(text) && !Number.isNaN(date.getTime())) return date;
  place?.problem(`${text} is no date`, examples.date);
  return new Date(0);
}

function readKernel(place: YamlPlace | undefined, { kernels }: Distribution) {
  if (!place) return {};
  if (!place.isMapping) return kernels[place.oneOf(Object.keys(kernels)) ?? ''] ?? {};
  const fields = place.fields(['amd64', 'arm64'] as const) ?? {};
  const named: Partial<Record<Architecture, string>> = {};
  for (const [architecture, item] of Object.entries(fields)) {
    named[architecture as Architecture] = readShape(
      item,
      packageName,
      'a package name (Debian policy 5.6.7)',
      'linux-image-amd64',
    );
  }
  return named;
}

function readHardware(place: YamlPlace | undefined): ImageDefinition['hardware'] {
  const fields = place?.fields(['drivers', 'firmware'] as const);
  const read = (item: YamlPlace | undefined) =>
    places(item).flatMap((one) => one.oneOf(hardwareClasses) ?? []);
  return {
    drivers: fields?.drivers && read(fields.drivers),
    firmware: read(fields?.firmware),
  };
}

const levels = { zstd: [1, 22], lz4: undefined, xz: undefined } as const;

/** Boots are bounded by bytes to fetch and hash against time to unpack: zstd-3 was the fastest. */
const defaultCompression: Compression = { type: 'zstd', level: 3 };

function readCompression(place: YamlPlace | undefined): Compression {
  const fields = place?.fields(['type', 'level'] as const);
  if (!place || !fields) return defaultCompression;
  if (!fields.type) place.problem('compression has no type', 'compression: {type: zstd, level: 3}');
  const type = fields.type?.oneOf(['zstd', 'lz4', 'xz'] as const) ?? 'zstd';
  const bounds = levels[type];
  const text = fields.level?.text('3');
  if (text === undefined) return { type, level: bounds && 3 };
  if (!bounds) {
    fields.level?.problem(`${type} has no level`, 'take level out');
    return { type, level: undefined };
  }
  const level = Number(text);
  if (!(Number.isInteger(level) && level >= bounds[0] && level <= bounds[1])) {
    fields.level?.problem(`${text} is no level of ${type}`, `${bounds[0]} to ${bounds[1]}`);
  }
  return { type, level };
}

function readLoaders(place: YamlPlace | undefined): Record<string, LoaderSource> {
  const loaders: Record<string, LoaderSource> = {};
  for (const [name, item] of place?.entries('such as ipxe.efi: {package: …, path: …}') ?? []) {
    if (name.startsWith('/') || name.split('/').includes('..') || name === '') {
      item.problem(`${name} cannot be the name of a loader`, 'such as ipxe.efi');
      continue;
    }
    const fields = item.fields(['package', 'architecture', 'path'] as const);
    if (!fields) continue;
    for (const key of ['package', 'path'] as const) {
      if (!fields[key])
        item.problem(`${key} is missing`, '{package: ipxe, path: usr/lib/ipxe/ipxe.efi}');
    }
    const architecture = fields.architecture?.oneOf(['amd64', 'arm64'] as const);
    loaders[name] = {
      package: readShape(fields.package, packageName, 'a package name', 'ipxe'),
      path: readPath(fields.path) ?? '',
      ...(architecture ? { architecture } : {}),
    };
  }
  return loaders;
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
