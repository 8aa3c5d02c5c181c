import { copyFile, mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../../errors.ts';
import { runContained } from '../../system/run-contained.ts';
import { renderAptSource } from '../apt-sources.ts';
import type { LoaderSource } from '../image-definition.ts';
import type { Executor } from './executor.ts';

/** Downloads the loaders' packages with an apt of its own and copies the loaders out of them. */
export const loaders: Executor<'loaders'> = async (step, context) => {
  const wanted = Object.entries(step.loaders);
  const architectureOf = (source: LoaderSource) => source.architecture ?? step.architecture;
  const folderOf = (source: LoaderSource) => `of/${source.package}_${architectureOf(source)}`;
  const packages = new Map(wanted.map(([, source]) => [folderOf(source), source]));
  const names = [...packages.values()].map((s) => `${s.package}:${architectureOf(s)}`).sort();
  const architectures = [step.architecture, ...wanted.map(([, source]) => architectureOf(source))];
  if (names.length === 0) return;
  const { sources, aptOptions } = await context.sources();
  const place = (path: string) => join(context.scratch, path);
  for (const folder of ['state/lists/partial', 'cache/archives/partial', 'etc', 'packages', 'of']) {
    await mkdir(place(folder), { recursive: true });
  }
  await writeFile(place('state/status'), '');
  await writeFile(
    place('etc/sources.list'),
    sources.map((s) => `${renderAptSource(s)}\n`).join(''),
  );
  await writeFile(
    place('apt.conf'),
    [
      ...aptOptions,
      `Dir::State "${place('state')}";`,
      `Dir::State::status "${place('state/status')}";`,
      `Dir::Cache "${place('cache')}";`,
      `Dir::Etc "${place('etc')}";`,
      // apt's key rings are the host's: its own folder of configuration is not.
      'Dir::Etc::trusted "/etc/apt/trusted.gpg";',
      'Dir::Etc::trustedparts "/etc/apt/trusted.gpg.d";',
      `APT::Architecture "${step.architecture}";`,
      `APT::Architectures { ${[...new Set(architectures)].map((a) => `"${a}"; `).join('')}};`,
      // The folders belong to root, and this apt changes nothing on this machine.
      'APT::Sandbox::User "root";',
      'Acquire::Languages "none";',
    ].join('\n'),
  );
  const env = { APT_CONFIG: place('apt.conf'), LC_ALL: 'C.UTF-8' };
  context.progress('reading package lists', 0.1);
  await runContained('apt-get', ['--error-on=any', '--quiet', 'update'], { env });
  context.progress('downloading loaders', 0.6);
  await runContained('apt-get', ['--quiet', 'download', ...names], { env, cwd: place('packages') });
  const files = await readdir(place('packages'));
  for (const [folder, source] of packages) {
    // A package for all architectures has `all` in the place of its own.
    const ends = [architectureOf(source), 'all'].map((architecture) => `_${architecture}.deb`);
    const file = files.find(
      (name) => name.startsWith(`${source.package}_`) && ends.some((end) => name.endsWith(end)),
    );
    if (file === undefined) throw new Error(`apt-get download left no package ${source.package}`);
    await runContained('dpkg-deb', ['--extract', join(place('packages'), file), place(folder)]);
  }
  for (const [name, source] of wanted) {
    const target = join(context.output, name);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(join(place(folderOf(source)), source.path), `${target}.part`).catch(
      (cause: unknown) => {
        throw new AppError(
          'no-loader',
          `the package ${source.package} of ${step.suite} has no ${source.path} for the loader ${name}`,
          `dpkg-deb --contents lists what is in it; correct loaders: in the image definition`,
          { cause },
        );
      },
    );
    await rename(`${target}.part`, target);
  }
};
