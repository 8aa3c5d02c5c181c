import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
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
  /** Milliseconds that a mirror may take to answer; two minutes where absent. */
  readonly patience?: number;
}

/**
 * Asks the mirrors of the host's apt, or `mirror` alone where given, which of them hold the suite,
 * its updates and its security updates. Refuses where none holds the suite itself.
 */
export async function findSuiteSources(request: SuiteRequest): Promise<SuiteSources> {
  const { distribution, suite, extra, scratch, mirror, patience = 120_000 } = request;
  const host = mirror ? mirrorSources(mirror, distribution) : await readHostSources('/etc/apt');
  await mkdir(scratch, { recursive: true });
  const found: AptSource[] = [];
  const failures: string[] = [];
  const { component, firmwareComponent } = distribution;
  for (const candidate of mapToSuite(host, suite, distribution)) {
    const file = join(scratch, 'InRelease');
    await rm(file, { force: true });
    const url = `${candidate.uri}/dists/${candidate.suite}/InRelease`;
    try {
      await runProgram(
        '/usr/lib/apt/apt-helper',
        // The folder belongs to who builds.
        ['--option', 'APT::Sandbox::User=root', 'download-file', url, file],
        { timeout: patience },
      );
      const text = await readFile(file, 'utf8');
      if (!isReleaseOf(text, candidate.suite, distribution)) continue;
      const components = componentsOf(text).filter((one) =>
        [component, firmwareComponent].includes(one),
      );
      found.push({ ...candidate, components });
    } catch (error) {
      failures.push(`${url}: ${lastLine(error)}`);
    }
  }
  if (!found.some((source) => source.suite === suite)) {
    throw new AppError(
      'no-mirror',
      failures.length > 0
        ? `no mirror gave the suite ${suite}:\n  ${failures.join('\n  ')}`
        : "none of this machine's apt sources is a Debian mirror",
      'add a Debian mirror to /etc/apt/sources.list.d, or name one: rolecall build --mirror URL',
    );
  }
  return {
    sources: [...found, ...extra.map(asAptSource)],
    security: found.some((source) => source.suite === `${suite}-security`),
    firmware: found.some(({ components }) => components.includes(firmwareComponent)),
    aptOptions: await readAptOptions(),
  };
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

function lastLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split('\n').at(-1)?.trim() ?? '';
}
