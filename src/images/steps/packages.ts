import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import { runContained } from '../../system/run-contained.ts';
import { writeLocalRepository } from '../local-repository.ts';
import { packedRoot, packRoot } from '../root-trees.ts';
import { installEnvironment, runInRoot } from '../run-in-root.ts';
import type { Executor } from './executor.ts';

/**
 * Adds exactly these packages to a root: by the root's own apt, after debconf had the answers, or unpacked where
 * nothing is configured.
 */
export const packages: Executor<'packages'> = async (step, context) => {
  const root = await context.takeRoot(step.from);
  if (step.variant === 'extract') {
    for (const of of step.packages) {
      await runContained('dpkg-deb', ['--extract', context.packages.file(of), root]);
    }
  } else {
    const repository = join(context.scratch, 'repository');
    await writeLocalRepository(repository, step.suite, step.packages, context.packages);
    const answers = join(repository, 'answers');
    if (step.answers.length > 0) await writeFile(answers, `${step.answers.join('\n')}\n`);
    const options = [
      ...['Dir::Etc::sourcelist=/mnt/sources.list', 'Dir::Etc::sourceparts=-'],
      ...['Dir::State::lists=/mnt/lists', 'Dir::Cache=/mnt/cache', 'APT::Sandbox::User=root'],
      ...['APT::Install-Recommends=false', 'Acquire::Languages=none'],
      // What is unpacked here reaches the disk when the step is whole.
      'Dpkg::Options::=--force-unsafe-io',
    ].flatMap((option) => ['-o', option]);
    const names = step.packages.map(({ name, version }) => `${name}=${version}`);
    const script = [
      'mkdir -p /mnt/lists/partial /mnt/cache/archives/partial',
      'echo "deb [trusted=yes] file:/mnt/packages ./" > /mnt/sources.list',
      '[ ! -e /mnt/packages/answers ] || debconf-set-selections /mnt/packages/answers >&2',
      'update=$1; shift',
      'eval "apt-get $update --error-on=any --quiet=2 update" >&2',
      'exec apt-get "$@" >&2',
    ].join('\n');
    const quoted = options.map((option) => `'${option}'`).join(' ');
    await runInRoot(
      root,
      [
        ...['sh', '-euc', script, 'sh', quoted, ...options],
        ...['--quiet=2', '--yes', '--no-remove', 'install', ...names],
      ],
      { env: installEnvironment(step.epoch), mnt: repository },
    ).catch((error: unknown) => {
      if (!(error instanceof AppError) || error.hint) throw error;
      const hint = 'the lines above name the package at fault; build --update renews all versions';
      throw new AppError(error.code, error.message, hint, { cause: error });
    });
  }
  if (step.passing) return;
  context.progress('packing', 0.8);
  await packRoot(root, join(context.output, packedRoot));
};
