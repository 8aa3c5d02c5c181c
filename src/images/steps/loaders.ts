import { copyFile, mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../../errors.ts';
import { runContained } from '../../system/run-contained.ts';
import type { LockedPackage } from '../package-lock.ts';
import type { Executor } from './executor.ts';

/** Copies the loaders out of their packages. */
export const loaders: Executor<'loaders'> = async (step, context) => {
  const folderOf = ({ digest }: LockedPackage) => join(context.scratch, digest);
  const sources = Object.values(step.loaders).map((loader) => loader.package);
  for (const of of new Set(sources)) {
    await runContained('dpkg-deb', ['--extract', context.packages.file(of), folderOf(of)]);
  }
  for (const [name, source] of Object.entries(step.loaders)) {
    const target = join(context.output, name);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(join(folderOf(source.package), source.path), `${target}.part`).catch(
      (cause: unknown) => {
        throw new AppError(
          'no-loader',
          `the package ${source.package.name} of ${step.suite} has no ${source.path} for the loader ${name}`,
          `dpkg-deb --contents lists what is in it; correct loaders: in the image definition`,
          { cause },
        );
      },
    );
    await rename(`${target}.part`, target);
  }
};
