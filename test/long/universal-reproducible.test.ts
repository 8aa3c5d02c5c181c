import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openImageStore, partsOf } from '../../src/images/image-store.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { images } from '../lab/harness/lab-under-test.ts';

const checkout = resolve(import.meta.dirname, '../..');
const packages = 'apt-cache/packages';
const user = { name: 'builder', uid: 4711 };
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rc-universal-'));
  await chmod(folder, 0o755);
});
afterAll(() => rm(folder, { recursive: true }));

it('the shipped image has one digest, built by root and, from its lock, by an ordinary user elsewhere', async () => {
  const [here, there] = [join(folder, 'here'), join(folder, 'there/with a longer path')];
  const site = join(folder, 'site');
  await cp(join(checkout, 'examples/lab'), site, { recursive: true });
  // What a mirror need not send twice; both read it against the lock.
  await cp(join(images, packages), join(here, packages), { recursive: true }).catch(() => {});
  const build = ['--site', site, '--state', here, 'build', 'universal'];
  await runProgram(join(checkout, 'bin/rolecall'), build);

  // As in another checkout: his own, with nothing of the first build but the lock and the packages.
  const home = join(folder, 'home');
  await cp(join(here, packages), join(there, packages), { recursive: true });
  for (const path of ['checkout', 'home/tmp']) await mkdir(join(folder, path), { recursive: true });
  const owner = `${user.uid}:${user.uid}`;
  await runProgram('chown', ['-R', owner, site, home, join(folder, 'there')]);
  await runAsUser(home, [
    ...[join(folder, 'checkout/bin/rolecall'), '--site', site, '--state', there],
    ...['build', 'universal', '--locked'],
  ]);

  const [one, two] = await Promise.all(
    [here, there].map((state) => openImageStore(state).resolve('universal', 'amd64', 'built')),
  );
  // Part by part, so that a failure says which.
  expect(two && partsOf(two.manifest)).toEqual(one && partsOf(one.manifest));
  expect(two?.digest).toBe(one?.digest);
  expect(one?.digest).toMatch(/^[0-9a-f]{64}$/);
});

/**
 * Runs a command as a user whom only this command knows, with ids for a namespace, on a machine of another name, with
 * other habits.
 */
async function runAsUser(home: string, command: readonly string[]): Promise<void> {
  const lines = {
    passwd: `${user.name}:x:${user.uid}:${user.uid}::${home}:/bin/sh\n`,
    group: `${user.name}:x:${user.uid}:\n`,
    subuid: `${user.name}:700000:65536\n`,
    subgid: `${user.name}:700000:65536\n`,
  };
  const binds: string[] = [];
  for (const [name, text] of Object.entries(lines)) {
    const copy = join(folder, 'etc', name);
    await mkdir(dirname(copy), { recursive: true });
    await writeFile(copy, `${await readFile(join('/etc', name), 'utf8')}${text}`);
    binds.push(`mount --bind "$1/etc/${name}" /etc/${name}`);
  }
  const script = [
    'set -e',
    ...binds,
    // Nobody else may come through the folders above it.
    'mount --bind "$2" "$1/checkout"',
    'hostname a-name-that-no-file-holds',
    'umask 077',
    'cd "$3"',
    'home=$3',
    'shift 3',
    `exec setpriv --reuid ${user.uid} --regid ${user.uid} --clear-groups --inh-caps=-all env -i ` +
      'PATH="$PATH" HOME="$home" TMPDIR="$home/tmp" TZ=Asia/Tokyo LANG=de_DE.UTF-8 "$@"',
  ].join('\n');
  const args = ['--mount', '--propagation', 'private', '--uts', 'sh', '-c', script, 'sh'];
  await runProgram('unshare', [...args, folder, checkout, home, ...command]);
}
