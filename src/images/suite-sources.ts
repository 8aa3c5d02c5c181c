import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, digestOf, digestOfValue } from '../digest.ts';
import { AppError } from '../errors.ts';
import { runProgram } from '../system/run-program.ts';
import {
  type AptSource,
  mapToSuite,
  parseDeb822Sources,
  parseOneLineSources,
} from './apt-sources.ts';
import type { Distribution } from './distributions/distribution.ts';
import type { ExtraSource } from './image-definition.ts';

/** Where a suite is fetched from. */
export interface SuiteSources {
  readonly sources: readonly AptSource[];
  /** False where no mirror has the suite's security updates. */
  readonly security: boolean;
  /** Whether a mirror has firmware that is not free. */
  readonly firmware: boolean;
  /** Digest of what the mirrors' InRelease files say; undefined where other repositories are asked too. */
  readonly releases: Digest | undefined;
  /** Of those that were asked and did not give their suite: URL and why. */
  readonly failures: readonly string[];
  /** The host's own ways to the network (proxies, certificates, retries) as lines of apt.conf(5). */
  readonly aptOptions: readonly string[];
}

export interface SuiteRequest {
  readonly distribution: Distribution;
  readonly suite: string;
  /** Repositories besides the distribution's. */
  readonly extra: readonly ExtraSource[];
  readonly scratch: string;
  /** A mirror of the distribution instead of the host's own. */
  readonly mirror?: string;
  /** Milliseconds that a mirror may take to answer, once; two minutes and apt's own retries where absent. */
  readonly patience?: number;
}

/**
 * Asks the mirrors of the host's apt, or `mirror` alone where given, which of them hold the suite,
 * its updates and its security updates. Refuses where none holds the suite itself.
 */
export async function findSuiteSources(request: SuiteRequest): Promise<SuiteSources> {
  const { distribution, suite, extra, scratch, mirror, patience } = request;
  const host = mirror ? mirrorSources(mirror, distribution) : await readHostSources('/etc/apt');
  await mkdir(scratch, { recursive: true });
  const candidates = mapToSuite(host, suite, distribution);
  // All at once: one that does not answer takes as long as all of them.
  const answers = await Promise.all(
    candidates.map((candidate, n) =>
      askForSuite(candidate, join(scratch, `InRelease-${n}`), distribution, patience),
    ),
  );
  const found = answers.flatMap((answer) => ('source' in answer ? [answer.source] : []));
  const releases = answers.flatMap((answer) => ('source' in answer ? [answer.release] : []));
  const failures = answers.flatMap((answer) => ('failure' in answer ? [answer.failure] : []));
  if (!found.some((source) => source.suite === suite)) {
    throw new AppError(
      'no-mirror',
      failures.length > 0
        ? `no mirror gave the suite ${suite}:\n  ${failures.join('\n  ')}`
        : "none of this machine's apt sources is a Debian mirror",
      'add a Debian mirror to /etc/apt/sources.list.d, or name one: rolecall build --mirror URL',
    );
  }
  const { firmwareComponent } = distribution;
  return {
    sources: [...found, ...extra.map(asAptSource)],
    security: found.some((source) => source.suite === `${suite}-security`),
    firmware: found.some(({ components }) => components.includes(firmwareComponent)),
    releases: extra.length > 0 ? undefined : digestOfValue(releases),
    failures,
    aptOptions: await readAptOptions(),
  };
}

/** The candidate with its components where it holds its suite, else why not. */
async function askForSuite(
  candidate: AptSource,
  file: string,
  distribution: Distribution,
  patience: number | undefined,
): Promise<
  { readonly source: AptSource; readonly release: Digest } | { readonly failure: string }
> {
  const { component, firmwareComponent, origin } = distribution;
  const url = `${candidate.uri}/dists/${candidate.suite}/InRelease`;
  await rm(file, { force: true });
  try {
    await runProgram(
      '/usr/lib/apt/apt-helper',
      // The folder belongs to who builds.
      [
        ...['--option', 'APT::Sandbox::User=root'],
        ...(patience === undefined ? [] : ['--option', 'Acquire::Retries=0']),
        ...['download-file', url, file],
      ],
      { timeout: patience ?? 120_000 },
    );
  } catch (error) {
    return { failure: `${url}: ${reasonOf(error)}` };
  }
  const text = await readFile(file, 'utf8');
  if (!isReleaseOf(text, candidate.suite, distribution)) {
    // A network that wants a login first answers anything with a page of its own.
    return { failure: `${url}: what it gave is not ${origin}'s index of ${candidate.suite}` };
  }
  const components = componentsOf(text).filter((one) =>
    [component, firmwareComponent].includes(one),
  );
  return { source: { ...candidate, components }, release: digestOf(text) };
}

function asAptSource({ uri, suite, components, key }: ExtraSource): AptSource {
  return { uri, suite, components, signedBy: key, trusted: false };
}

/** Whether the index says that it is the distribution's own and of this suite. */
export function isReleaseOf(
  text: string,
  suite: string,
  { origin }: Pick<Distribution, 'origin'>,
): boolean {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1];
  return field('Origin') === origin && field('Codename') === suite;
}

/** `updates/main` of a security archive is what sources.list(5) calls main. */
function componentsOf(text: string): string[] {
  const words = /^Components: (.*)$/m.exec(text)?.[1]?.split(' ') ?? [];
  return words.map((word) => word.replace(/^updates\//, ''));
}

function mirrorSources(mirror: string, { pockets, component }: Distribution): AptSource[] {
  return pockets.map((pocket) => ({
    uri: mirror.replace(/\/+$/, ''),
    suite: `stable${pocket}`,
    components: [component],
    signedBy: undefined,
    trusted: false,
  }));
}

async function readHostSources(aptFolder: string): Promise<AptSource[]> {
  const folder = join(aptFolder, 'sources.list.d');
  const names = (await readdir(folder).catch(() => [])).sort();
  const texts = await Promise.all(
    [join(aptFolder, 'sources.list'), ...names.map((name) => join(folder, name))].map(
      async (path) => ({ path, text: await readFile(path, 'utf8').catch(() => '') }),
    ),
  );
  return texts.flatMap(({ path, text }) => {
    if (path.endsWith('.sources')) return parseDeb822Sources(text);
    return path.endsWith('.list') ? parseOneLineSources(text) : [];
  });
}

async function readAptOptions(): Promise<string[]> {
  const { stdout } = await runProgram('apt-config', [
    'dump',
    ...['--no-empty', '--format', '%f "%v";%n'],
    ...['Acquire::http', 'Acquire::https', 'Acquire::ftp', 'Acquire::Retries'],
    ...['Acquire::Check-Valid-Until', 'Acquire::Check-Date'],
  ]);
  return stdout.split('\n').filter((line) => line.startsWith('Acquire::'));
}

/** Apt's own reason; else how the program ended. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const [, said] = /E: Failed to fetch \S+\s+(.*)/.exec(text) ?? [];
  return said ?? text.trim().split('\n').at(-1)?.trim() ?? '';
}
