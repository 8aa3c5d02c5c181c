import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const main = join(import.meta.dirname, '../../../src/main.ts');

/** What differs from one tiny image to the next. */
export interface TinyImage {
  /** In the root's own key: another word, and the packages are installed anew. */
  readonly installation: string;
  /** In the key of what is packed from the root. */
  readonly packing: string;
  readonly loaders: readonly string[];
  /** Besides those that every tiny image has. */
  readonly packages?: readonly string[];
}

/** Writes a site whose one image, `tiny`, goes through every step of a build in seconds. */
export async function writeTinyImage(site: string, image: TinyImage): Promise<void> {
  await mkdir(join(site, 'images'), { recursive: true });
  await writeFile(
    join(site, 'images/tiny.yaml'),
    [
      'name: tiny',
      'suite: trixie',
      'variant: extract',
      'kernel: { amd64: linux-image-cloud-amd64 }',
      `packages: [${['base-files', 'busybox-static', 'coreutils', 'kmod', ...(image.packages ?? [])].join(', ')}]`,
      'rolePackages: false',
      'date: 2025-08-09T00:00:00Z',
      `answers: [${image.installation}]`,
      `prune: { paths: [usr/share/${image.packing}, usr/share/doc] }`,
      'loaders:',
      ...image.loaders.map((name) => `  ${name}: { package: ipxe, path: usr/lib/ipxe/${name} }`),
      '',
    ].join('\n'),
  );
}

/** How a build ended, and what it had said until then. */
export interface EndedBuild {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
}

export interface BuildPlace {
  readonly site: string;
  readonly state: string;
  /** Besides this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** `rolecall build tiny`, killed when `isTime` says so of what it has said up to then. */
export async function buildTiny(
  place: BuildPlace,
  options: readonly string[] = [],
  isTime: (stderr: string) => boolean = () => false,
): Promise<EndedBuild> {
  return watch(startTiny(place, options), isTime);
}

/** The same, killed after that many milliseconds where it runs so long. */
export async function buildTinyFor(place: BuildPlace, milliseconds: number): Promise<EndedBuild> {
  const child = startTiny(place, []);
  const timer = setTimeout(() => child.kill('SIGKILL'), milliseconds);
  const ended = await watch(child, () => false);
  clearTimeout(timer);
  return ended;
}

/** `rolecall build` of another image of the same site. */
export async function buildImageOf(
  place: BuildPlace,
  name: string,
  options: readonly string[] = [],
): Promise<EndedBuild> {
  const args = [main, '--site', place.site, '--state', place.state, 'build', name, ...options];
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
  return watch(spawn(process.execPath, args, { stdio }), () => false);
}

/** A build that runs until it ends or its process is killed. */
export function startTiny(place: BuildPlace, options: readonly string[]): ChildProcess {
  return spawn(process.execPath, [...command(place), ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...place.env },
  });
}

/** The same build on a machine of another name, by a user with other habits. */
export function startTinyElsewhere(
  place: BuildPlace,
  hostname: string,
  options: readonly string[] = [],
): ChildProcess {
  const script = 'hostname "$0" && umask 077 && exec "$@"';
  return spawn(
    'unshare',
    ['--uts', 'sh', '-c', script, hostname, process.execPath, ...command(place), ...options],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: '/',
      env: {
        ...process.env,
        TZ: 'Asia/Tokyo',
        LANG: 'de_DE.UTF-8',
        LC_ALL: '',
        HOSTNAME: hostname,
      },
    },
  );
}

/** The same build on a machine that no network reaches. */
export function startTinyWithoutNetwork(place: BuildPlace): ChildProcess {
  return spawn('unshare', ['--net', process.execPath, ...command(place)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function command({ site, state }: BuildPlace): string[] {
  return [main, '--site', site, '--state', state, 'build', 'tiny'];
}

/** Waits for a build's end; kills it when `isTime` says so of what it has said. */
export async function watch(
  child: ChildProcess,
  isTime: (stderr: string) => boolean,
): Promise<EndedBuild> {
  const start = performance.now();
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk) => {
    stdout += String(chunk);
  });
  child.stderr?.on('data', (chunk) => {
    stderr += String(chunk);
    if (isTime(stderr)) child.kill('SIGKILL');
  });
  await once(child, 'close');
  const { exitCode: code, signalCode: signal } = child;
  return { code, signal, stdout, stderr, milliseconds: performance.now() - start };
}
