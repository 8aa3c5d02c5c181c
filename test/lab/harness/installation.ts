import { existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { runProgram } from '../../../src/system/run-program.ts';
import { storeImage } from '../../stored-image.ts';

const top = resolve(import.meta.dirname, '../../..');

/**
 * What `git clone`, `npm ci --omit=dev`, apt and `rolecall build` bring to a boot server, as files in
 * `folder`: checkout.tar, modules.tar, libatomic.so.1 and images.tar.
 */
export async function packInstallation(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { stdout } = await runProgram('git', ['-C', top, 'ls-files', '--', ...checkout]);
  const listed = { input: stdout };
  await runProgram('tar', ['-C', top, '-cf', join(folder, 'checkout.tar'), '-T', '-'], listed);
  await runProgram(
    'tar',
    [
      ...['-C', top, '-cf', join(folder, 'modules.tar')],
      // Headers and manuals of Node: a fifth of the whole.
      ...['include', 'share'].map((part) => `--exclude=node_modules/node-linux-*/${part}`),
      ...['-T', '-'],
    ],
    { input: productionModules().join('\n') },
  );
  // The image has no use for it, and the bundled Node cannot start without it.
  await copyFile('/usr/lib/x86_64-linux-gnu/libatomic.so.1', join(folder, 'libatomic.so.1'));
  await storeImage(join(folder, 'state'));
  await runProgram('tar', [
    '-C',
    join(folder, 'state'),
    '-cf',
    join(folder, 'images.tar'),
    'images',
  ]);
}

const checkout = [
  ...['bin', 'docs', 'images', 'roles', 'src', 'systemd', 'templates'],
  ...['package.json', 'package-lock.json'],
];

/** The folders of the packages that `npm ci --omit=dev` installs on this platform. */
function productionModules(): readonly string[] {
  const lock = JSON.parse(readFileSync(join(top, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
  };
  return Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true && existsSync(join(top, path)))
    .map(([path]) => path)
    .filter((path, _, all) => !all.some((other) => path.startsWith(`${other}/`)));
}

/** The command lines of a section of docs/running-for-real.md, by its heading. */
export function documentedCommands(heading: string): readonly string[] {
  const page = readFileSync(join(top, 'docs/running-for-real.md'), 'utf8');
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`docs/running-for-real.md has no section ${heading}`);
  return [...section.matchAll(/^ {4}(.*)$/gm)].map(([, line = '']) => line);
}

/**
 * The same commands with some replaced, each by the beginning of its line; refuses a replacement that no
 * line needs any more.
 */
export function withReplaced(
  commands: readonly string[],
  replacements: Readonly<Record<string, string>>,
): string {
  const unused = new Set(Object.keys(replacements));
  const lines = commands.map((command) => {
    const found = Object.keys(replacements).find((start) => command.startsWith(start));
    if (found === undefined) return command;
    unused.delete(found);
    return replacements[found] ?? '';
  });
  if (unused.size > 0) throw new Error(`the page has no line ${[...unused].join(', ')}`);
  return lines.join('\n');
}
