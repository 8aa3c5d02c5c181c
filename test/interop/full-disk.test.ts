import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runProgram } from '../../src/system/run-program.ts';

test('a full disk is said with its name, and does not keep the server from ending', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rolecall-full-'));
  try {
    const { stdout, stderr } = await runProgram('unshare', [
      ...['--mount', 'sh', '-c', 'mount -t tmpfs -o size=256k tmpfs "$3" && exec "$@"', 'sh'],
      ...[process.execPath, new URL('./full-disk-process.ts', import.meta.url).pathname, folder],
    ]);
    const full = `${folder}/rolecall.db cannot be written: its disk is full`;
    expect(stdout.split('\n')).toEqual([
      'filled: ENOSPC',
      `disk-full: ${full}; make room: df -h ${folder} shows how much there is`,
      'closed',
    ]);
    expect(stderr).toContain(`rolecall: 2 events are lost: ${full}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
