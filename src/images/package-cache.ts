import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestOf, parseDigest } from '../digest.ts';
import { AppError } from '../errors.ts';
import { writeDurably } from '../system/durable-file.ts';
import { runProgram } from '../system/run-program.ts';
import type { LockedPackage } from './package-lock.ts';
import type { SuiteSources } from './suite-sources.ts';

/** What is told while packages are fetched. */
export interface FetchProgress {
  readonly bytes: number;
  readonly of: number;
}

/** Debian packages by digest on this machine's disk. */
export interface PackageCache {
  /** Where the package's file is or would be. */
  file(of: LockedPackage): string;
  /** All files that the cache may have of the package. */
  files(of: LockedPackage): string[];
  /** Reads every file and deletes those that are not what they should be; gives back which are not there. */
  missing(packages: readonly LockedPackage[]): Promise<MissingPackages>;
  /** Fetches these from the first source that has them. Refuses any other digest; says all that failed. */
  fetch(
    packages: readonly LockedPackage[],
    sources: SuiteSources,
    onProgress: (progress: FetchProgress) => void,
  ): Promise<void>;
  /** The package's control file, deb-control(5). */
  control(of: LockedPackage): Promise<string>;
  /** Those of which the control file is not kept: their files are read for it. */
  withoutControl(packages: readonly LockedPackage[]): Promise<readonly LockedPackage[]>;
}

export interface MissingPackages {
  readonly absent: readonly LockedPackage[];
  /** Were there with other bytes, and are deleted. */
  readonly damaged: readonly LockedPackage[];
}

/** The cache in a folder; an absent one is empty. */
export function openPackageCache(folder: string): PackageCache {
  const file = ({ digest }: LockedPackage) => join(folder, `${digest}.deb`);
  const controlFile = ({ digest }: LockedPackage) => join(folder, `${digest}.control`);
  const incoming = join(folder, 'incoming');

  const missing: PackageCache['missing'] = async (packages) => {
    const absent: LockedPackage[] = [];
    const damaged: LockedPackage[] = [];
    await inParallel(4, packages, async (of) => {
      const found = await stat(file(of)).catch(() => undefined);
      if (!found) absent.push(of);
      else if (found.size !== of.size || (await digestOfFile(file(of))) !== of.digest) {
        damaged.push(of);
        await rm(file(of), { force: true });
      }
    });
    return { absent, damaged };
  };

  const fetch: PackageCache['fetch'] = async (packages, { sources, aptOptions }, onProgress) => {
    if (packages.length === 0) return;
    await rm(incoming, { recursive: true, force: true });
    await mkdir(incoming, { recursive: true });
    const total = sizeOf(packages);
    let wanted = [...packages];
    const report = async () => {
      let bytes = 0;
      for (const name of await readdir(incoming, { recursive: true }).catch(() => [])) {
        bytes += (await stat(join(incoming, name)).catch(() => undefined))?.size ?? 0;
      }
      const came = total - sizeOf(wanted);
      onProgress({ bytes: Math.min(came + bytes, total), of: total });
    };
    const failures = new Map<LockedPackage, string[]>();
    try {
      for (const round of roundsOf([...new Set(sources.map((s) => s.uri))])) {
        const asked = round(wanted);
        if (asked.length === 0) break;
        const timer = setInterval(() => void report(), 1000);
        const said = await download(asked, incoming, aptOptions).finally(() =>
          clearInterval(timer),
        );
        const left: LockedPackage[] = [];
        for (const [of, uri] of asked) {
          const came = join(incoming, `${of.digest}.deb`);
          const found = await stat(came).catch(() => undefined);
          if (found?.size === of.size && (await digestOfFile(came)) === of.digest) {
            await rename(came, file(of));
            continue;
          }
          left.push(of);
          const why = said.find((text) => text.includes(uri)) ?? `${uri} ${judgeSize(found, of)}`;
          failures.set(of, [...(failures.get(of) ?? []), why]);
          await rm(came, { force: true });
        }
        wanted = left;
      }
      if (wanted.length > 0) throw notFetched(wanted, failures);
    } finally {
      await rm(incoming, { recursive: true, force: true });
    }
    await runProgram('sync', ['--file-system', folder]);
  };

  const keptControl = async (of: LockedPackage): Promise<string | undefined> => {
    const held = await readFile(controlFile(of), 'utf8').catch(() => '');
    const end = held.indexOf('\n');
    const text = held.slice(end + 1);
    return end > 0 && digestOf(text) === held.slice(0, end) ? text : undefined;
  };

  const withoutControl: PackageCache['withoutControl'] = async (packages) => {
    const kept = await Promise.all(packages.map(keptControl));
    return packages.filter((_of, at) => kept[at] === undefined);
  };

  const control: PackageCache['control'] = async (of) => {
    const kept = await keptControl(of);
    if (kept !== undefined) return kept;
    const { stdout } = await runProgram('dpkg-deb', ['--field', file(of)], {
      env: { LC_ALL: 'C.UTF-8' },
    });
    const text = `${stdout}\n`;
    await writeDurably(controlFile(of), `${digestOf(text)}\n${text}`);
    return text;
  };

  const files: PackageCache['files'] = (of) => [file(of), controlFile(of)];
  return { file, files, missing, fetch, control, withoutControl };
}

/** What is wrong with what came, as far as its size says. */
function judgeSize(found: { readonly size: number } | undefined, { size }: LockedPackage): string {
  if (!found) return 'did not come';
  return found.size === size ? 'gave other bytes' : `gave ${found.size} of ${size} bytes`;
}

/** Digest of the file's bytes. */
export async function digestOfFile(path: string): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hash.update(chunk as Uint8Array);
  }
  const digest = parseDigest(hash.digest('hex'));
  if (digest === undefined) throw new Error('SHA-256 gave no digest');
  return digest;
}

/** Calls `work` for each item, so many at once, until all are done or one fails. */
export async function inParallel<T>(
  atOnce: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

function sizeOf(packages: readonly LockedPackage[]): number {
  return packages.reduce((sum, { size }) => sum + size, 0);
}

type Round = (wanted: readonly LockedPackage[]) => [LockedPackage, string][];

/** First each package from the mirror where its path suggests it, then from the others in turn. */
function roundsOf(uris: readonly string[]): Round[] {
  const security = uris.filter((uri) => uri.includes('security'));
  const others = uris.filter((uri) => !uri.includes('security'));
  return uris.map(
    (_uri, turn) => (wanted) =>
      wanted.map((of) => {
        // As Debian's security archive lays out its pool.
        const updates = of.path.startsWith('pool/updates/');
        const order = updates ? [...security, ...others] : [...others, ...security];
        return [of, `${order[turn]}/${of.path}`];
      }),
  );
}

/** Runs apt's own downloader, which knows the host's proxies; gives back what it complained of. */
async function download(
  wanted: readonly (readonly [LockedPackage, string])[],
  folder: string,
  aptOptions: readonly string[],
): Promise<string[]> {
  const options = aptOptions.flatMap((line) => {
    const [, name, value] = /^(\S+) "(.*)";$/.exec(line) ?? [];
    return name === undefined ? [] : ['--option', `${name}=${value}`];
  });
  const triples = wanted.flatMap(([of, uri]) => [
    uri,
    join(folder, `${of.digest}.deb`),
    `SHA256:${of.digest}`,
  ]);
  const { stderr, stdout } = await runProgram(
    '/usr/lib/apt/apt-helper',
    ['--option', 'APT::Sandbox::User=root', ...options, 'download-file', ...triples],
    { accept: [1, 100], env: { LC_ALL: 'C.UTF-8' } },
  );
  return `${stderr}\n${stdout}`.split('\n');
}

function notFetched(
  packages: readonly LockedPackage[],
  failures: ReadonlyMap<LockedPackage, readonly string[]>,
): AppError {
  const gone = packages.every((of) => failures.get(of)?.every((why) => /\b404\b/.test(why)));
  const lines = packages.map((of) => {
    const why = (failures.get(of) ?? []).map((text) => `\n    ${text.replace(/^[EW]: /, '')}`);
    return `\n  ${of.name} ${of.version} ${of.architecture}${why.join('')}`;
  });
  return new AppError(
    gone ? 'version-gone' : 'not-fetched',
    `${packages.length} ${packages.length === 1 ? 'package was' : 'packages were'} not fetched${
      gone ? ': no mirror has these versions any more' : ''
    }${lines.join('')}`,
    gone
      ? 'rolecall build --update takes the versions that are there today'
      : 'check the network and the mirror (apt-get update), then run it again: what has come is kept',
  );
}
