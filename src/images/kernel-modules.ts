import { basename } from 'node:path/posix';
import { AppError } from '../errors.ts';

/** The module lists that depmod writes beside a kernel's modules (modules.dep(5)), read. */
export interface ModuleIndex {
  /** Paths by path: what must be loaded before it. Paths are relative, with `.ko` and any suffix. */
  readonly needs: ReadonlyMap<string, readonly string[]>;
  /** Path by module name. */
  readonly paths: ReadonlyMap<string, string>;
  /** Names of what is in the kernel itself. */
  readonly builtin: ReadonlySet<string>;
  /** Names by name: what should be loaded with it (`softdep`, modprobe.d(5)). */
  readonly soft: ReadonlyMap<string, readonly string[]>;
  /** Lines of modules.alias with the module's name that each ends in. */
  readonly aliases: readonly { readonly line: string; readonly name: string }[];
  /** Names by alias. */
  readonly byAlias: ReadonlyMap<string, readonly string[]>;
}

/** Texts of modules.dep, modules.builtin, modules.softdep and modules.alias. */
export interface ModuleLists {
  readonly dep: string;
  readonly builtin: string;
  readonly softdep: string;
  readonly alias: string;
}

/** Which modules an initramfs wants: every one under a folder, single ones by name. */
export interface ModuleWishes {
  readonly folders: readonly string[];
  /** Taken where the kernel has them. */
  readonly names: readonly string[];
  /** Must be there, as a module or in the kernel. */
  readonly required: readonly string[];
  /** Folders inside the wanted ones to leave out. */
  readonly except: readonly string[];
}

/** The modules' lists as one index; names are in the kernel's spelling, with underscores. */
export function parseModuleLists(lists: ModuleLists): ModuleIndex {
  const needs = new Map<string, readonly string[]>();
  const paths = new Map<string, string>();
  for (const line of linesOf(lists.dep)) {
    const colon = line.indexOf(':');
    const path = line.slice(0, colon);
    needs.set(path, wordsOf(line.slice(colon + 1)));
    paths.set(moduleName(path), path);
  }
  const aliases = linesOf(lists.alias).map((line) => ({ line, words: wordsOf(line) }));
  const byAlias = Map.groupBy(aliases, ({ words }) => words[1] ?? '');
  return {
    needs,
    paths,
    builtin: new Set(linesOf(lists.builtin).map(moduleName)),
    soft: parseSoftdeps(lists.softdep),
    aliases: aliases.map(({ line, words }) => ({ line, name: words[2] ?? '' })),
    byAlias: new Map(
      [...byAlias].map(([alias, of]) => [alias, of.map(({ words }) => words[2] ?? '')]),
    ),
  };
}

/** `virtio_net` of `kernel/drivers/net/virtio-net.ko.xz`: the kernel takes both spellings for one. */
export function moduleName(path: string): string {
  return basename(path)
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');
}

/**
 * Paths of the wanted modules and of all that they need, sorted.
 * Refuses, naming all of them at once, required modules that the kernel has neither as module nor built in.
 */
export function planModules(index: ModuleIndex, wishes: ModuleWishes): readonly string[] {
  refuseMissing(index, wishes.required);
  const under = (folders: readonly string[], path: string) =>
    folders.some((folder) => path.startsWith(`${folder}/`));
  const wanted = [...index.needs.keys()].filter(
    (path) => under(wishes.folders, path) && !under(wishes.except, path),
  );
  const named = [...wishes.required, ...wishes.names].flatMap((name) => pathsOf(index, name));
  return closureOf(index, [...wanted, ...named]);
}

/** modules.alias with only what leads to one of the modules, in its order. */
export function selectAliases(index: ModuleIndex, paths: readonly string[]): string {
  const names = new Set(paths.map(moduleName));
  return index.aliases
    .filter(({ name }) => names.has(name))
    .map(({ line }) => `${line}\n`)
    .join('');
}

/** modules.dep with only the modules at these paths of the initramfs. */
export function renderModulesDep(index: ModuleIndex, paths: readonly string[]): string {
  const wanted = new Set(paths);
  return [...index.needs]
    .filter(([path]) => wanted.has(initramfsPath(path)))
    .map(([path, needs]) => [`${initramfsPath(path)}:`, ...needs.map(initramfsPath)].join(' '))
    .map((line) => `${line}\n`)
    .join('');
}

/** Where a module lies in the initramfs: as in the kernel's package, but never as `.ko.zst`. */
export function initramfsPath(path: string): string {
  return path.replace(/\.zst$/, '');
}

function closureOf(index: ModuleIndex, start: readonly string[]): readonly string[] {
  const found = new Set<string>();
  const open = [...start];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (found.has(path)) continue;
    found.add(path);
    const soft = index.soft.get(moduleName(path)) ?? [];
    open.push(...(index.needs.get(path) ?? []), ...soft.flatMap((name) => pathsOf(index, name)));
  }
  return [...found].sort();
}

/** A name of a module, or an alias without wildcards such as `crypto-crc32c`; none where it is built in. */
function pathsOf(index: ModuleIndex, name: string): readonly string[] {
  const path = index.paths.get(moduleName(name));
  if (path !== undefined) return [path];
  return (index.byAlias.get(name) ?? []).flatMap((module) => index.paths.get(module) ?? []);
}

function refuseMissing(index: ModuleIndex, required: readonly string[]): void {
  const missing = required.filter(
    (name) => !index.paths.has(moduleName(name)) && !index.builtin.has(moduleName(name)),
  );
  if (missing.length === 0) return;
  throw new AppError(
    'kernel-lacks-modules',
    `the kernel has no ${missing.join(', ')}`,
    'take the package linux-image-amd64 (linux-image-arm64), not a -cloud- kernel, into the image',
  );
}

/** `softdep NAME pre: A B post: C`; A may be an alias. */
function parseSoftdeps(text: string): ReadonlyMap<string, readonly string[]> {
  const soft = new Map<string, readonly string[]>();
  for (const line of linesOf(text)) {
    const [, name = '', ...rest] = wordsOf(line);
    const named = rest.filter((word) => word !== 'pre:' && word !== 'post:');
    soft.set(moduleName(name), [...(soft.get(moduleName(name)) ?? []), ...named]);
  }
  return soft;
}

function linesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

function wordsOf(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
