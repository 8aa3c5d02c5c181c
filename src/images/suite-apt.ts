import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestOfValue, parseDigest } from '../digest.ts';
import { AppError } from '../errors.ts';
import { writeDurably } from '../system/durable-file.ts';
import { runContained } from '../system/run-contained.ts';
import { runProgram } from '../system/run-program.ts';
import { renderAptSource } from './apt-sources.ts';
import type { LockedPackage } from './package-lock.ts';
import { withPlainNames } from './plain-names.ts';
import { type AvailablePackage, parseAvailable } from './security-updates.ts';
import type { SuiteSources } from './suite-sources.ts';

/** An apt that knows one suite, thinks of an empty machine, and changes nothing on this one. */
export interface SuiteApt {
  /**
   * Reads the suite's signed indices; fails where that takes longer than `patience` milliseconds. What was read and
   * verified within a day is not read again where the mirrors' InRelease files are the same bytes.
   */
  update(patience?: number): Promise<void>;
  /**
   * What an installation of `wanted` (names, or patterns of apt-patterns(7)) would download, without recommended
   * packages. Nothing of `held` is changed by it; a pinned version is taken wherever there is one.
   */
  install(wanted: readonly string[], world: InstalledWorld): Promise<LockedPackage[]>;
  /** These packages alone, as `name:architecture`. */
  download(wanted: readonly string[]): Promise<LockedPackage[]>;
  /** Every package of the indices, in its newest version. */
  available(): Promise<readonly AvailablePackage[]>;
}

export interface InstalledWorld {
  /** Control files of packages that count as installed. */
  readonly held: readonly string[];
  readonly pins: readonly LockedPackage[];
  /** A repository of this machine besides the suite's own. */
  readonly repository?: string;
}

export interface SuiteAptPlace {
  /** Its folder; what is in it from before is used again. */
  readonly folder: string;
  readonly sources: SuiteSources;
  readonly architecture: string;
  /** Others of which packages may be named. */
  readonly foreign: readonly string[];
  readonly now: () => number;
}

/** Lays out an apt in a folder. */
export async function openSuiteApt(at: SuiteAptPlace): Promise<SuiteApt> {
  const { folder, architecture } = at;
  const { sources, aptOptions } = at.sources;
  const place = (path: string) => join(folder, path);
  for (const path of ['state/lists/partial', 'cache/archives/partial', 'etc/apt.conf.d']) {
    await mkdir(place(path), { recursive: true });
  }
  for (const path of ['etc/preferences.d', 'etc/sources.list.d']) {
    await mkdir(place(path), { recursive: true });
  }
  const architectures = [...new Set([architecture, ...at.foreign])];
  await writeFile(
    place('apt.conf'),
    [
      ...aptOptions,
      `Dir::State "${place('state')}";`,
      `Dir::State::status "${place('state/status')}";`,
      `Dir::Cache "${place('cache')}";`,
      `Dir::Etc "${place('etc')}";`,
      // apt's key rings are the host's: its own folder of configuration is not.
      'Dir::Etc::trusted "/etc/apt/trusted.gpg";',
      'Dir::Etc::trustedparts "/etc/apt/trusted.gpg.d";',
      `APT::Architecture "${architecture}";`,
      `APT::Architectures { ${architectures.map((a) => `"${a}"; `).join('')}};`,
      'APT::Install-Recommends "false";',
      // The folders belong to who builds.
      'APT::Sandbox::User "root";',
      'Acquire::Languages "none";',
      // Else --print-uris prints MD5.
      'Acquire::ForceHash "SHA256";',
      '',
    ].join('\n'),
  );
  const env = { APT_CONFIG: place('apt.conf'), LC_ALL: 'C.UTF-8' };
  const uris = sources.map((source) => source.uri);
  /** Runs `work` while apt knows the sources and that world. */
  const within = async <T>({ held, pins, repository }: InstalledWorld, work: () => Promise<T>) => {
    await writeFile(place('state/status'), held.map(asInstalled).join('\n'));
    await writeFile(place('etc/preferences'), pins.map(renderPin).join('\n'));
    const keys = sources.flatMap(({ signedBy }) => signedBy ?? []);
    return withPlainNames([...keys, ...(repository ? [repository] : [])], async (plain) => {
      const local = repository ? [`deb [trusted=yes] copy:${plain(repository)} ./`] : [];
      const lines = sources.map(({ signedBy, ...source }) =>
        renderAptSource({ ...source, signedBy: signedBy && plain(signedBy) }),
      );
      const text = [...lines, ...local].map((line) => `${line}\n`).join('');
      await writeFile(place('etc/sources.list'), text);
      return work();
    });
  };
  const empty = { held: [], pins: [] };
  // Beside the lists: who deletes them, and apt where it takes others, deletes this too.
  const verified = place('state/lists/verified.json');
  const lines = sources.map((source) => renderAptSource(source));
  const { releases } = at.sources;
  const question = releases && digestOfValue([releases, lines, architectures]);
  return {
    update: async (patience) => {
      if (await isVerified(verified, question, at.now())) return;
      await within(empty, () =>
        runContained('apt-get', ['--error-on=any', '--quiet', 'update'], {
          env,
          ...(patience === undefined ? {} : { timeout: patience }),
        }),
      );
      if (question) await writeDurably(verified, JSON.stringify({ question, at: at.now() }));
    },
    install: (wanted, world) =>
      within(world, async () => {
        if (world.repository) {
          await runContained('apt-get', ['--error-on=any', '--quiet', 'update'], { env });
        }
        const options = ['--quiet=2', '--yes', '--print-uris', '--no-remove', '--no-upgrade'];
        const { stdout } = await runProgram('apt-get', [...options, 'install', ...wanted], { env });
        return parseUris(stdout, uris, world.pins);
      }),
    download: async (wanted) => {
      // Of no name apt-get makes a failure.
      if (wanted.length === 0) return [];
      const options = ['--quiet=2', '--print-uris', 'download', ...wanted];
      const { stdout } = await within(empty, () => runProgram('apt-get', options, { env }));
      return parseUris(stdout, uris, []);
    },
    available: async () => {
      const { stdout } = await within(empty, () => runProgram('apt-cache', ['dumpavail'], { env }));
      return parseAvailable(stdout);
    },
  };
}

/** Milliseconds after which apt is to judge anew whether an index has expired. */
const day = 86_400_000;

async function isVerified(
  file: string,
  question: Digest | undefined,
  now: number,
): Promise<boolean> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const [, asked, at] = /^\{"question":"([0-9a-f]{64})","at":(\d+)\}$/.exec(text) ?? [];
  const age = now - Number(at);
  return question !== undefined && asked === question && age >= 0 && age < day;
}

/** apt_preferences(5): beyond 1000 even an older version is taken. */
function renderPin({ name, version }: LockedPackage): string {
  return `Package: ${name}\nPin: version ${version}\nPin-Priority: 1001\n`;
}

/** A control file as dpkg's status file has it of an installed package that is on hold. */
function asInstalled(control: string): string {
  return `${control.trim().replace('\n', '\nStatus: hold ok installed\n')}\n`;
}

/**
 * The packages in what `apt-get --print-uris` prints: `'URI' file size SHA256:digest` a line. `from` are the
 * repositories; a package of none of them must be one of `known`.
 */
export function parseUris(
  text: string,
  from: readonly string[],
  known: readonly LockedPackage[],
): LockedPackage[] {
  const byDigest = new Map<Digest, LockedPackage>(known.map((p) => [p.digest, p]));
  const packages = text.split('\n').flatMap((line) => {
    const match = /^'([^']+)' (\S+)_(\S+)_(\S+)\.deb (\d+) SHA256:([0-9a-f]{64})$/.exec(line);
    if (!match) {
      if (!line.startsWith("'")) return [];
      throw new AppError(
        'no-digest',
        `the mirror's index has no SHA-256 for this package: ${line}`,
      );
    }
    const [, uri = '', name = '', version = '', architecture = '', size = '', hash = ''] = match;
    const digest = parseDigest(hash);
    if (!digest) return [];
    const own = byDigest.get(digest);
    if (own) return [own];
    const base = from.filter((other) => uri.startsWith(`${other}/`)).sort(longestFirst)[0];
    if (base === undefined) {
      throw new AppError('unknown-repository', `apt takes ${name} from ${uri}, which no source is`);
    }
    const path = uri.slice(base.length + 1);
    const plain = { name, version: decodeURIComponent(version), architecture };
    return [{ ...plain, size: Number(size), digest, path }];
  });
  return packages.sort((a, b) =>
    `${a.name} ${a.architecture}` < `${b.name} ${b.architecture}` ? -1 : 1,
  );
}

function longestFirst(a: string, b: string): number {
  return b.length - a.length;
}
