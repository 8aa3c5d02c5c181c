import { dirname } from 'node:path';
import type { Problem, Result } from '../errors.ts';
import { type Fields, parseYaml, type YamlPlace } from '../site/yaml-file.ts';
import { packageName, places, readPath, readShape } from './definition-fields.ts';
import type { Architecture, Distribution } from './distributions/distribution.ts';
import { distributions } from './distributions/distributions.ts';
import { hardwareClasses } from './hardware-class.ts';
import type {
  Compression,
  ImageContents,
  ImageDefinition,
  LoaderSource,
} from './image-definition.ts';
import { contentsKeys, readContents } from './parse-image-contents.ts';

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

const allKeys = ['name', ...contentsKeys, ...baseKeys, 'extends'] as const;
type Keys = Fields<(typeof allKeys)[number]>;

/** What a definition names besides itself. */
export interface DefinitionWorld {
  /** The definition that another one extends; its problems are told with those of the other. */
  readonly findParent: (name: string) => Promise<Result<ImageDefinition>>;
  readonly exists: (path: string) => boolean;
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

const imageName = /^[a-z0-9][a-z0-9-]*$/;
const localeName = /^[a-z]{2,3}_[A-Z]{2}(\.[A-Za-z0-9-]+)?(@[a-z]+)?$/;

function readName(name: YamlPlace | undefined, place: YamlPlace): string {
  if (!name) {
    place.problem('name is missing', 'the name of the file without .yaml');
    return '';
  }
  return readShape(name, imageName, 'lower-case letters, digits and dashes', 'edge');
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
