import { rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError } from '../../errors.ts';
import { copyFiles } from '../copied-files.ts';
import type { ImageUser } from '../image-definition.ts';
import { resolveInRoot } from '../resolve-in-root.ts';
import { packedRoot, packRoot } from '../root-trees.ts';
import { runHook } from '../run-hook.ts';
import { installEnvironment, runInRoot } from '../run-in-root.ts';
import type { Executor } from './executor.ts';

/** Makes the image's locale and accounts, copies the site's files in, runs the site's hooks; in that order. */
export const customize: Executor<'customize'> = async (step, context) => {
  const root = await context.takeRoot(step.from);
  const env = installEnvironment(step.epoch);
  if (step.locale !== undefined) {
    context.progress(`making the locale ${step.locale}`, 0);
    await makeLocale(root, step.locale, env);
  }
  for (const user of step.users)
    await runInRoot(root, ['useradd', ...useraddArguments(user)], { env });
  // useradd(8) leaves copies of what was there before.
  for (const name of ['passwd-', 'group-', 'shadow-', 'gshadow-', 'subuid-', 'subgid-']) {
    await rm(join(root, 'etc', name), { force: true });
  }
  for (const rule of step.files) {
    context.progress(`copying ${basename(rule.from)}`, 0.2);
    await copyFiles(root, rule, step.epoch);
  }
  for (const hook of step.hooks) {
    context.progress(`running ${basename(hook.run)}`, 0.3);
    const secrets = hook.secrets.map((name) => ({ name, file: secretFile(context.secrets, name) }));
    const { run, network } = hook;
    await runHook({ root, run, network, secrets, epoch: step.epoch }, (line) =>
      context.progress(`${basename(run)}: ${line}`, 0.3),
    );
  }
  context.progress('packing', 0.8);
  await packRoot(root, join(context.output, packedRoot));
};

function secretFile(secrets: Readonly<Record<string, string>>, name: string): string {
  const file = secrets[name];
  if (file !== undefined) return file;
  throw new AppError(
    'no-secret',
    `a hook wants the secret ${name}, and none was given`,
    `rolecall build --secret ${name}=FILE`,
  );
}

/** locale-gen(8) of the package `locales`, and what systemd and shells of a login read. */
async function makeLocale(
  root: string,
  locale: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const [name = '', encoding = 'UTF-8'] = locale.split('.');
  const known = await stat(await resolveInRoot(root, `usr/share/i18n/locales/${name}`)).catch(
    () => undefined,
  );
  if (!known) {
    throw new AppError(
      'no-locale',
      `the image's packages know no locale ${name}`,
      'such as locale: de_DE.UTF-8; take the line out where C.UTF-8 is enough',
    );
  }
  await writeFile(join(root, 'etc/locale.gen'), `${locale} ${encoding}\n`);
  await runInRoot(root, ['locale-gen'], { env });
  await writeFile(join(root, 'etc/locale.conf'), `LANG=${locale}\n`);
}

function useraddArguments({ name, uid, groups, shell, home, system }: ImageUser): string[] {
  return [
    ...(uid === undefined ? [] : ['--uid', String(uid)]),
    ...(groups.length > 0 ? ['--groups', groups.join(',')] : []),
    ...['--shell', shell],
    // A home that is asked for is made.
    ...(home === undefined ? ['--no-create-home'] : ['--home-dir', home, '--create-home']),
    ...(system ? ['--system'] : []),
    ...['--user-group', name],
  ];
}
