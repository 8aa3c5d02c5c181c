import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import { runContained } from '../../system/run-contained.ts';
import { writeLocalRepository } from '../local-repository.ts';
import { withPlainNames } from '../plain-names.ts';
import { packedRoot, packRoot } from '../root-trees.ts';
import { installEnvironment } from '../run-in-root.ts';
import type { Executor } from './executor.ts';

/** Installs exactly these packages into a new root with mmdebstrap(1), without network. */
export const bootstrap: Executor<'bootstrap'> = async (step, context) => {
  const root = context.newRoot();
  const repository = join(context.scratch, 'repository');
  await writeLocalRepository(repository, step.suite, step.packages, context.packages);
  const answers = join(context.scratch, 'answers');
  await writeFile(answers, step.answers.map((line) => `${line}\n`).join(''));
  const configures = step.variant !== 'extract';
  await withPlainNames([repository], (plain) =>
    runContained(
      'mmdebstrap',
      [
        ...['--mode', 'root', '--format', 'directory', '--variant', step.variant],
        ...['--architectures', step.architecture],
        ...['--include', step.packages.map(({ name }) => name).join(',')],
        // The folders of a build belong to who builds.
        ...['--aptopt', 'APT::Sandbox::User "root"'],
        // What is unpacked here reaches the disk when the step is whole.
        ...['--dpkgopt', 'force-unsafe-io', '--skip', 'output/dev'],
        ...(configures && step.answers.length > 0
          ? ['--essential-hook', `chroot "$1" debconf-set-selections < ${quote(answers)}`]
          : []),
        ...[step.suite, root, `deb [trusted=yes] copy:${plain(repository)} ./`],
      ],
      {
        network: false,
        env: installEnvironment(step.epoch),
        onStderrLine: (line) => {
          const phase = phases.findIndex(([start]) => line.startsWith(`I: ${start}`));
          const [, text = '', done = 0] = phases[phase] ?? [];
          if (phase >= 0) context.progress(text, done);
        },
      },
    ),
  ).catch((error: unknown) => {
    throw withHint(error);
  });
  context.progress('packing', 0.95);
  await packRoot(root, join(context.output, packedRoot));
};

/** What mmdebstrap says, what that means, and how much of the time has passed by then. */
const phases: readonly (readonly [string, string, number])[] = [
  ['extracting archives', 'unpacking the base', 0.05],
  ['installing essential', 'installing the base', 0.15],
  ['installing remaining', 'installing packages', 0.3],
];

function withHint(error: unknown): unknown {
  if (!(error instanceof AppError) || error.hint) return error;
  const hint = /No space left/.test(error.message)
    ? 'free some space in the state folder, or name another one with --state'
    : 'run it again; where it fails again, the lines above name the package at fault';
  return new AppError(error.code, error.message, hint, { cause: error });
}

/** For a shell line: mmdebstrap hands hooks to sh. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
