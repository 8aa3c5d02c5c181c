import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import { runContained } from '../../system/run-contained.ts';
import { renderAptSource } from '../apt-sources.ts';
import type { Executor } from './executor.ts';

/** Installs the packages into a new root, `root/` of the output, with mmdebstrap(1). */
export const bootstrap: Executor<'bootstrap'> = async (step, context) => {
  const { sources, aptOptions } = await context.sources();
  const archives = join(context.aptCache, 'archives', `${step.suite}-${step.architecture}`);
  await mkdir(archives, { recursive: true });
  // An interrupted build may have left half a package here.
  await rm(join(archives, 'partial'), { recursive: true, force: true });
  const answers = join(context.scratch, 'answers');
  await writeFile(answers, step.answers.map((line) => `${line}\n`).join(''));
  const configures = step.variant !== 'extract';
  await runContained(
    'mmdebstrap',
    [
      ...['--mode', 'root', '--format', 'directory', '--variant', step.variant],
      ...['--architectures', step.architecture, '--include', step.packages.join(',')],
      ...aptOptions.flatMap((line) => ['--aptopt', line]),
      // Packages downloaded once stay in a folder outside of the root.
      ...['--skip', 'download/empty', '--skip', 'essential/unlink'],
      ...['--setup-hook', 'mkdir -p "$1/var/cache/apt/archives"'],
      ...['--setup-hook', `sync-in ${quote(archives)} /var/cache/apt/archives`],
      ...['--customize-hook', `sync-out /var/cache/apt/archives ${quote(archives)}`],
      ...(configures && step.answers.length > 0
        ? ['--essential-hook', `chroot "$1" debconf-set-selections < ${quote(answers)}`]
        : []),
      ...[step.suite, join(context.output, 'root')],
      ...sources.map(renderAptSource),
    ],
    {
      env: {
        SOURCE_DATE_EPOCH: String(step.epoch),
        DEBIAN_FRONTEND: 'noninteractive',
        LC_ALL: 'C.UTF-8',
        TZ: 'UTC',
        // No initramfs-tools: the image brings an initramfs of its own.
        INITRD: 'No',
      },
      onStderrLine: (line) => {
        const phase = phases.findIndex(([start]) => line.startsWith(`I: ${start}`));
        const [, text = '', done = 0] = phases[phase] ?? [];
        if (phase >= 0) context.progress(text, done);
      },
    },
  ).catch((error: unknown) => {
    throw withHint(error, step.suite);
  });
  await sweepArchives(archives);
};

/** Of each package keeps the newest download only. */
async function sweepArchives(folder: string): Promise<void> {
  const newest = new Map<string, { readonly file: string; readonly time: number }>();
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.deb'))) {
    const [name = '', , architecture = ''] = file.split('_');
    const time = (await stat(join(folder, file))).mtimeMs;
    const held = newest.get(`${name}_${architecture}`);
    if (!held || held.time < time) newest.set(`${name}_${architecture}`, { file, time });
    const older = held && (held.time < time ? held.file : file);
    if (older) await rm(join(folder, older), { force: true });
  }
}

/** What mmdebstrap says, what that means, and how much of the time has passed by then. */
const phases: readonly (readonly [string, string, number])[] = [
  ['running apt-get update', 'reading package lists', 0.02],
  ['downloading packages', 'downloading packages', 0.1],
  ['extracting archives', 'unpacking the base', 0.3],
  ['installing essential', 'installing the base', 0.35],
  ['installing remaining', 'installing packages', 0.45],
  ['cleaning package lists', 'cleaning up', 0.97],
];

function withHint(error: unknown, suite: string): unknown {
  if (!(error instanceof AppError) || error.hint) return error;
  const missing = /Unable to locate package (\S+)/.exec(error.message)?.[1];
  const hint = missing
    ? `${suite} has no package ${missing}: correct its name in images/*.yaml or in a role.yaml`
    : /No space left/.test(error.message)
      ? 'free some space in the state folder, or name another one with --state'
      : /Could not resolve|Failed to fetch|Unable to connect/.test(error.message)
        ? "the mirror cannot be reached: check the network and the host's apt sources (apt-get update)"
        : 'run it again; where it fails again, the lines above name the package at fault';
  return new AppError(error.code, error.message, hint, { cause: error });
}

/** For a shell line: mmdebstrap hands hooks to sh. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
