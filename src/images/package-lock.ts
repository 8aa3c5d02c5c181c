import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { type Digest, digestOfValue, parseDigest } from '../digest.ts';
import type { Problem, Result } from '../errors.ts';

/** One package to the byte, and where a Debian mirror keeps it. */
export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  /** Debian's word; `all` for every one. */
  readonly architecture: string;
  readonly size: number;
  readonly digest: Digest;
  /** Below the mirror's folder, as in a URL. */
  readonly path: string;
}

/** What somebody asked for, and all that it brought with it. */
export interface PackageGroup {
  /** Package names, sorted. */
  readonly asked: readonly string[];
  /** Sorted by name. */
  readonly packages: readonly LockedPackage[];
}

/**
 * The packages of an image. What was resolved at first is the first group; what was added later, and what that
 * brought, a further one each: the groups are installed one after the other.
 */
export interface PackageLock extends LockedSuite {
  readonly groups: readonly PackageGroup[];
  /** Packages that loaders are taken from, asked for as `name:architecture`; they are installed nowhere. */
  readonly loaders: PackageGroup;
}

interface LockedSuite {
  /** Debian's code name, such as `trixie`. */
  readonly suite: string;
  readonly architecture: 'amd64' | 'arm64';
  readonly variant: 'minbase' | 'extract';
}

/** What an image asks for today. */
export interface WantedPackages extends LockedSuite {
  /** Sorted, each once. */
  readonly packages: readonly string[];
  /** As `name:architecture`, sorted, each once. */
  readonly loaders: readonly string[];
}

/** What has to be resolved so that a lock holds what is wanted. */
export interface LockGap {
  /** Groups that stay as they are. */
  readonly keep: readonly PackageGroup[];
  /** What they do not hold. */
  readonly ask: readonly string[];
  /** Versions to keep where they are still needed: those of the groups that fall away. */
  readonly pins: readonly LockedPackage[];
  readonly loaders: readonly string[];
  readonly keepLoaders: readonly LockedPackage[];
}

/** Why a lock does not hold what is wanted, in words; empty where it does. */
export function misfits(lock: PackageLock, wanted: WantedPackages): string[] {
  const asked = new Set(lock.groups.flatMap((group) => group.asked));
  const loaders = new Set(lock.loaders.asked);
  const differs = (what: keyof LockedSuite) =>
    lock[what] === wanted[what] ? [] : [`it is of ${what} ${lock[what]}, not ${wanted[what]}`];
  const lists: [string, readonly string[]][] = [
    ['it lacks', wanted.packages.filter((name) => !asked.has(name))],
    ['nothing asks any more for', [...asked].filter((name) => !wanted.packages.includes(name))],
    ['it lacks for loaders', wanted.loaders.filter((name) => !loaders.has(name))],
    [
      'no loader is taken any more from',
      [...loaders].filter((name) => !wanted.loaders.includes(name)),
    ],
  ];
  return [
    ...differs('suite'),
    ...differs('architecture'),
    ...differs('variant'),
    ...lists.flatMap(([text, names]) => (names.length > 0 ? [`${text} ${names.join(', ')}`] : [])),
  ];
}

/**
 * What to resolve. Groups of which something is wanted no more fall away, with those after them: their versions
 * are pinned. A lock of another suite holds nothing.
 */
export function gapOf(lock: PackageLock | undefined, wanted: WantedPackages): LockGap {
  const same =
    lock?.suite === wanted.suite &&
    lock.architecture === wanted.architecture &&
    lock.variant === wanted.variant;
  const groups = same ? lock.groups : [];
  const isWanted = new Set(wanted.packages);
  const dropped = groups.findIndex(({ asked }) => !asked.every((name) => isWanted.has(name)));
  const keep = dropped < 0 ? groups : groups.slice(0, dropped);
  const held = new Set(keep.flatMap((group) => group.asked));
  const keepLoaders = same
    ? lock.loaders.packages.filter((p) => wanted.loaders.some((name) => isOf(name, p)))
    : [];
  return {
    keep,
    ask: wanted.packages.filter((name) => !held.has(name)),
    pins: dropped < 0 ? [] : groups.slice(dropped).flatMap((group) => group.packages),
    loaders: wanted.loaders.filter((name) => !keepLoaders.some((p) => isOf(name, p))),
    keepLoaders,
  };
}

/** For a preview: like the lock that resolving would give, with packages that are known by their names only. */
export function unresolvedLock(wanted: WantedPackages, gap: LockGap): PackageLock {
  const unknown = (asked: string): LockedPackage => {
    const [name = '', architecture = wanted.architecture] = asked.split(':');
    const digest = digestOfValue(['not resolved yet', asked]);
    return { name, version: 'to be resolved', architecture, size: 1, digest, path: '' };
  };
  const { suite, architecture, variant } = wanted;
  const added = gap.ask.length > 0 ? [{ asked: gap.ask, packages: gap.ask.map(unknown) }] : [];
  return {
    ...{ suite, architecture, variant },
    groups: [...gap.keep, ...added],
    loaders: {
      asked: wanted.loaders,
      packages: [...gap.keepLoaders, ...gap.loaders.map(unknown)],
    },
  };
}

/** Whether the package is what `name:architecture` asks for; one of architecture `all` serves every one. */
export function isOf(asked: string, { name, architecture }: LockedPackage): boolean {
  const [wanted, of] = asked.split(':');
  return name === wanted && (architecture === of || architecture === 'all');
}

/** Every package of the lock, those of loaders too. */
export function allPackages(lock: PackageLock): LockedPackage[] {
  return [...lock.groups.flatMap((group) => group.packages), ...lock.loaders.packages];
}

/** Versions by name of what is installed; of loaders by `name (loader)`, with their architecture. */
export function versionsOf(lock: PackageLock | undefined): Record<string, string> {
  return Object.fromEntries([
    ...(lock?.groups.flatMap((group) => group.packages) ?? []).map((p) => [p.name, p.version]),
    ...(lock?.loaders.packages ?? []).map((p) => [
      `${p.name}:${p.architecture} (loader)`,
      p.version,
    ]),
  ]);
}

/** The lock as a text in which one changed package is one changed line. */
export function renderLock(lock: PackageLock): string {
  const group = ({ asked, packages }: PackageGroup, indent: string): string[] => [
    ...list('asked', asked, indent),
    ...list('packages', packages.map(renderPackage), indent),
  ];
  return [
    '# What the image is made of, to the byte. Keep it in git beside the definition.',
    '# rolecall build extends it, build --update renews it, build --locked insists on it.',
    '# A package is: name version architecture size SHA-256 path',
    'format: 1',
    `suite: ${lock.suite}`,
    `architecture: ${lock.architecture}`,
    `variant: ${lock.variant}`,
    'groups:',
    ...lock.groups.flatMap((g) => ['  -', ...group(g, '    ')]),
    'loaders:',
    ...group(lock.loaders, '  '),
    '',
  ].join('\n');
}

function list(name: string, items: readonly string[], indent: string): string[] {
  if (items.length === 0) return [`${indent}${name}: []`];
  return [`${indent}${name}:`, ...items.map((item) => `${indent}  - ${item}`)];
}

function renderPackage(p: LockedPackage): string {
  return [p.name, p.version, p.architecture, p.size, p.digest, p.path].join(' ');
}

const line = z.string().transform((text, context): LockedPackage => {
  const [name = '', version = '', architecture = '', size = '', hash = '', path = '', ...more] =
    text.split(' ');
  const digest = parseDigest(hash);
  const sound =
    /^[a-z0-9][a-z0-9+.-]+$/.test(name) &&
    /^[A-Za-z0-9.+:~-]+$/.test(version) &&
    /^[a-z0-9-]+$/.test(architecture) &&
    /^[1-9][0-9]{0,11}$/.test(size) &&
    /^[\w.+%~/-]+\.deb$/.test(path) &&
    !path.startsWith('/') &&
    !path.split('/').includes('..') &&
    more.length === 0;
  if (sound && digest) return { name, version, architecture, size: Number(size), digest, path };
  context.addIssue({
    code: 'custom',
    message: 'is not a package: name version architecture size SHA-256 path',
  });
  return z.NEVER;
});
const group = z.strictObject({ asked: z.array(z.string()), packages: z.array(line) });
const shape = z.strictObject({
  format: z.literal('1'),
  suite: z.string().regex(/^[a-z]+$/),
  architecture: z.enum(['amd64', 'arm64']),
  variant: z.enum(['minbase', 'extract']),
  groups: z.array(group),
  loaders: group,
});

/** The lock in such a text, or every problem of it with its line. */
export function parseLock(text: string, file: string): Result<PackageLock> {
  const lines = new LineCounter();
  // All is text: 2048 and 0xffff are names of packages.
  const document = parseDocument(text, { lineCounter: lines, schema: 'failsafe' });
  const hint = 'take the file back from git, or make it anew: rolecall build --update';
  const problem = (at: number, path: string, message: string): Problem => ({
    ...{ file, line: at, path, message, hint },
  });
  if (document.errors.length > 0) {
    const problems = document.errors.map(({ pos, message }) =>
      problem(lines.linePos(pos[0]).line, '', message.split('\n')[0] ?? 'is no YAML'),
    );
    return { ok: false, problems };
  }
  const parsed = shape.safeParse(document.toJS());
  if (parsed.success) {
    const { format: _format, ...lock } = parsed.data;
    return { ok: true, value: lock };
  }
  return {
    ok: false,
    problems: parsed.error.issues.map(({ path, message }) => {
      const node = document.getIn(path, true) as { range?: [number, number, number] } | undefined;
      const at = node?.range ? lines.linePos(node.range[0]).line : 0;
      return problem(at, path.join('.'), message);
    }),
  };
}
