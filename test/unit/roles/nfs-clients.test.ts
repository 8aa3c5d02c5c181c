import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { shippedRolesDir } from '../../../src/roles/load-roles.ts';
import { runProgram } from '../../../src/system/run-program.ts';

const program = await readFile(
  join(shippedRolesDir, 'storage/files/usr/lib/rolecall/nfs-clients'),
  'utf8',
);

let dir: string;
let script: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rolecall-nfs-clients-'));
  script = join(dir, 'nfs-clients');
  const here = program
    .replaceAll('/srv/volumes', join(dir, 'volumes'))
    .replaceAll('/run/', `${dir}/run/`)
    .replaceAll('/proc/', `${dir}/proc/`)
    .replaceAll('/dev/kmsg', join(dir, 'kmsg'));
  await writeFile(script, here, { mode: 0o755 });
  for (const folder of [
    'run',
    'proc/fs/nfsd',
    'volumes/a/.nfs-clients',
    'volumes/b/.nfs-clients',
  ]) {
    await mkdir(join(dir, folder), { recursive: true });
  }
});
afterEach(() => rm(dir, { recursive: true }));

/** As the kernel calls it: the second in which the grace period began, and which version the client speaks. */
const call = (...words: string[]) =>
  runProgram('sh', [script, ...words], {
    env: { NFSDCLTRACK_GRACE_START: '1764190000', NFSDCLTRACK_CLIENT_HAS_SESSION: 'N' },
    accept: [1],
  }).then(({ exitCode }) => exitCode);

describe('a client of a node with two volumes', () => {
  const fileOn = (volume: string) => join(dir, `volumes/${volume}/.nfs-clients/4c6162`);

  test('is kept on both, and known from either', async () => {
    await call('init');
    expect(await call('create', '4c6162')).toBe(0);
    await rm(fileOn('a'));
    expect(await call('check', '4c6162')).toBe(0);
    expect(await call('check', '4c6163')).toBe(1);
  });

  test('is kept on the second where the first is full, and the kernel asks again', async () => {
    await call('init');
    await symlink('/dev/full', fileOn('a'));
    expect(await call('create', '4c6162')).toBe(1);
    const began = await readFile(join(dir, 'run/rolecall-nfsd.began'), 'utf8');
    expect(await readFile(fileOn('b'), 'utf8')).toBe(`${began.trim()} 4.0\n`);
  });

  test('takes back what it had on the second where the first is full', async () => {
    await call('init');
    await symlink('/dev/full', fileOn('a'));
    await writeFile(fileOn('b'), '1764180000 12\n');
    expect(await call('check', '4c6162')).toBe(0);
  });
});

describe('while clients are kept', () => {
  const file = () => join(dir, 'volumes/a/.nfs-clients/4c6162');

  /** A program that has the lock until it is told, as `create` has it shared and `gracedone` alone. */
  async function locked(how: '-s' | '-x'): Promise<() => void> {
    const args = [
      how,
      join(dir, 'run/rolecall-nfsd.began.lock'),
      'sh',
      '-c',
      'echo has it; read _',
    ];
    const holder = spawn('flock', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(holder.stdout, 'data');
    return () => holder.stdin.end();
  }

  test('none is forgotten: its file is empty before it says which server met it', async () => {
    await call('init');
    const kept = await locked('-s');
    await writeFile(file(), '');
    const done = call('gracedone');
    await sleep(300);
    expect(await readFile(file(), 'utf8')).toBe('');
    await writeFile(file(), await readFile(join(dir, 'run/rolecall-nfsd.began')));
    kept();
    expect(await done).toBe(0);
    expect(await readFile(file(), 'utf8')).not.toBe('');
  });

  test('another one is kept at the same time', async () => {
    await call('init');
    const kept = await locked('-s');
    expect(await call('create', '4c6163')).toBe(0);
    kept();
  });

  test('none is kept while old ones are forgotten, and the one that comes is not among them', async () => {
    await call('init');
    const forgotten = await locked('-x');
    const kept = call('create', '4c6162');
    await sleep(300);
    await expect(readFile(file())).rejects.toThrow('ENOENT');
    forgotten();
    expect(await kept).toBe(0);
    expect(await readFile(file(), 'utf8')).not.toBe('');
  });
});
