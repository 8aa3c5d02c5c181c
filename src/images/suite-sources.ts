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

/** Where a suite is fetched from. */
export interface SuiteSources {
  readonly sources: readonly AptSource[];
  /** False where no mirror has the suite's security updates. */
  readonly security: boolean;
  /** The host's own ways to the network (proxies, certificates, retries) as lines of apt.conf(5). */
  readonly aptOptions: readonly string[];
}

/**
 * Asks the mirrors of the host's apt, or `mirror` alone where given, which of them hold the suite,
 * its updates and its security updates. Refuses where none holds the suite itself.
 */
export async function findSuiteSources(
  suite: string,
  scratch: string,
  mirror?: string,
  aptFolder = '/etc/apt',
): Promise<SuiteSources> {
  const host = mirror ? mirrorSources(mirror) : await readHostSources(aptFolder);
  await mkdir(scratch, { recursive: true });
  const found: AptSource[] = [];
  const failures: string[] = [];
  for (const candidate of mapToSuite(host, suite)) {
    const file = join(scratch, 'InRelease');
    await rm(file, { force: true });
    const url = `${candidate.uri}/dists/${candidate.suite}/InRelease`;
    try {
      await runProgram('/usr/lib/apt/apt-helper', ['download-file', url, file], {
        timeout: 120_000,
      });
      const text = await readFile(file, 'utf8');
      if (!isDebianRelease(text, candidate.suite)) continue;
      found.push(candidate);
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
    sources: found,
    security: found.some((source) => source.suite === `${suite}-security`),
    aptOptions: await readAptOptions(),
  };
}

/** Whether the index says that it is Debian's own and of this suite. */
export function isDebianRelease(text: string, suite: string): boolean {
  return /^Origin: Debian$/m.test(text) && new RegExp(`^Codename: ${suite}$`, 'm').test(text);
}

function mirrorSources(mirror: string): AptSource[] {
  return ['stable', 'stable-updates', 'stable-security'].map((suite) => ({
    uri: mirror.replace(/\/+$/, ''),
    suite,
    components: ['main'],
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
