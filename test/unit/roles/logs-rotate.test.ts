import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { shippedRolesDir } from '../../../src/roles/load-roles.ts';
import { runProgram } from '../../../src/system/run-program.ts';

const program = await readFile(
  join(shippedRolesDir, 'logs/files/usr/lib/rolecall/logs-rotate'),
  'utf8',
);

/** As on a store without a free byte: full while anything is in it, and logrotate cannot write its state. */
const fakes = {
  df: '[ -z "$(ls "$2")" ] && used=1 || used=100\nprintf "x\\n/dev/x 1 1 1 %s%% %s\\n" $used "$2"\n',
  logrotate: 'case $1 in --force) mv DIR/store/a.log DIR/store/a.log-1; exit 1 ;; esac\n',
};

test('a store without a free byte has room after one run, though logrotate fails for want of it', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'rolecall-logs-rotate-'));
  for (const [name, text] of Object.entries(fakes)) {
    const body = `#!/bin/sh\n${text.replaceAll('DIR', dir)}`;
    await mkdir(join(dir, 'bin'), { recursive: true });
    await writeFile(join(dir, 'bin', name), body, { mode: 0o755 });
  }
  for (const folder of ['store', 'run/rolecall-collector']) {
    await mkdir(join(dir, folder), { recursive: true });
  }
  await writeFile(join(dir, 'store/a.log'), 'a line\n');
  const config = join(dir, 'logrotate.conf');
  await writeFile(config, '  compress\n');
  const script = program
    .replaceAll('/srv/logs', join(dir, 'store'))
    .replaceAll('/run/', `${dir}/run/`)
    .replaceAll('/etc/rolecall/logrotate.conf', config);
  const { stdout, exitCode } = await runProgram('sh', ['-c', script], {
    env: { PATH: `${dir}/bin:${process.env.PATH}` },
    accept: [1],
  });
  expect(stdout).toMatch(/is 100 % full: deleted a\.log-1$/m);
  expect(exitCode).toBe(0);
  expect(await readdir(join(dir, 'store'))).toEqual([]);
  await rm(dir, { recursive: true });
});
