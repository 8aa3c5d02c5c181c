import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runProgram } from '../../src/system/run-program.ts';

const guestDir = new URL('../../src/guest', import.meta.url).pathname;
const names = (await readdir(guestDir, { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(guestDir.length + 1));

test.each(names)('%s is a POSIX shell script without a remark of shellcheck', async (file) => {
  expect(await readFile(join(guestDir, file), 'utf8')).toMatch(/^#!\/bin\/sh\n/);
  const result = await runProgram(
    'shellcheck',
    ['--shell=sh', '--severity=style', join(guestDir, file)],
    {
      accept: [1],
    },
  );
  expect(result.stdout).toBe('');
});

test.each(names)('busybox ash can parse %s', async (file) => {
  await runProgram('busybox', ['ash', '-n', join(guestDir, file)]);
});
