import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runQmp } from '../../../src/lab/qmp.ts';
import { type RunningProgram, startProgram } from '../../../src/system/start-program.ts';

let dir: string;
let socket: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rolecall-qmp-'));
  socket = join(dir, 'qmp.sock');
});
afterEach(() => rm(dir, { recursive: true }));

/** A QEMU whose processors never start. */
function startQemu(): Promise<RunningProgram> {
  const machine = ['-S', '-nodefaults', '-no-user-config', '-display', 'none', '-m', '64'];
  const qmp = ['-qmp', `unix:${socket},server=on,wait=off`];
  return startProgram('qemu-system-x86_64', [...machine, ...qmp], { log: join(dir, 'log') });
}

test('a guest answers a moment after its start; until then each question fails by itself', async () => {
  await expect(runQmp(socket, 'query-status')).rejects.toMatchObject({
    code: 'lab-qmp',
    message: expect.stringContaining('ENOENT'),
  });
  const qemu = await startQemu();
  try {
    await expect
      .poll(() => runQmp(socket, 'query-status').catch(() => undefined), { timeout: 20_000 })
      .toMatchObject({ status: 'prelaunch' });
  } finally {
    await qemu.stop(0);
  }
  await expect(runQmp(socket, 'query-status')).rejects.toMatchObject({ code: 'lab-qmp' });
});

test('an answer that is no JSON is a failure of the question', async () => {
  const server = createServer((client) => client.end('QEMU was killed\n'));
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  await expect(runQmp(socket, 'stop')).rejects.toMatchObject({ code: 'lab-qmp' });
  server.close();
});
