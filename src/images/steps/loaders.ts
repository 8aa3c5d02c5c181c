import { copyFile, mkdir, readdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError } from '../../errors.ts';
import { runContained } from '../../system/run-contained.ts';
import type { LockedPackage } from '../package-lock.ts';
import { resolveInRoot } from '../resolve-in-root.ts';
import type { Executor } from './executor.ts';

/** Copies the loaders out of their packages; what is a link there is what it leads to in the package. */
export const loaders: Executor<'loaders'> = async (step, context) => {
  const folderOf = ({ digest }: LockedPackage) => join(context.scratch, digest);
  const sources = Object.values(step.loaders).map((loader) => loader.package);
  for (const of of new Set(sources)) {
    await runContained('dpkg-deb', ['--extract', context.packages.file(of), folderOf(of)]);
  }
  for (const [name, source] of Object.entries(step.loaders)) {
    const folder = folderOf(source.package);
    const target = join(context.output, name);
    await mkdir(dirname(target), { recursive: true });
    const file = await resolveInRoot(folder, source.path, 'through');
    await copyFile(file, `${target}.part`).catch(async (cause: unknown) => {
      throw new AppError(
        'no-loader',
        `the package ${source.package.name} of ${step.suite} has no ${source.path} for the loader ${name}`,
        `correct loaders: in the image definition; ${await whereElse(folder, source.path)}`,
        { cause },
      );
    });
    await rename(`${target}.part`, target);
  }
};

/** Where the package has a file of that name; or how to see what it has. */
async function whereElse(folder: string, path: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const places = entries
    .filter((entry) => entry.isFile() && entry.name === basename(path))
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  if (places.length > 0) return `it has ${places.sort().join(', ')}`;
  return 'dpkg-deb --contents lists what is in it';
}
