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
      `told: ${full}`,
      'still shown: 2',
      'closed',
    ]);
    expect(stderr).toContain(`rolecall: 2 events are lost: ${full}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a disk that Linux has made read-only is said with the way back', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rolecall-ro-'));
  const disk = `${folder}.img`;
  try {
    await runProgram('truncate', ['--size', '8M', disk]);
    await runProgram('mkfs.ext4', ['-q', disk]);
    const { stdout, stderr } = await runProgram('unshare', [
      ...['--mount', 'sh', '-c', 'mount -o loop "$4" "$3" && exec "$1" "$2" "$3" abort', 'sh'],
      ...[process.execPath, new URL('./full-disk-process.ts', import.meta.url).pathname],
      ...[folder, disk],
    ]);
    const refused = `${folder}/rolecall.db cannot be written: its file system is read-only`;
    expect(stdout).toContain(`disk-refuses: ${refused}; Linux makes it so after an error`);
    expect(stdout).toContain(`told: ${refused}\nstill shown: 2\nclosed`);
    expect(stderr).toContain(`rolecall: 2 events are lost: ${refused}`);
  } finally {
    rmSync(folder, { recursive: true });
    rmSync(disk, { force: true });
  }
});
