/** Fills the disk of the state folder of its argument, or makes it read-only, goes on writing, and says what it is told. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { AppError } from '../../src/errors.ts';
import { parseMac } from '../../src/net/mac.ts';
import { openState } from '../../src/state/state.ts';
import { runProgram } from '../../src/system/run-program.ts';

const [folder = '', mode] = process.argv.slice(2);
const state = openState(folder);
if (mode === 'abort') {
  // As after an error of the disk, with the database open for writing.
  await runProgram('mount', ['-o', 'remount,abort', folder]);
} else {
  const filler = openSync(join(folder, 'filler'), 'w');
  try {
    for (;;) writeSync(filler, Buffer.alloc(4096));
  } catch (error) {
    process.stdout.write(`filled: ${(error as NodeJS.ErrnoException).code}\n`);
  }
  closeSync(filler);
}
const machine = parseMac('52:54:00:77:00:11');
if (!machine) throw new Error('no MAC');
for (const [at, port] of ['eth1', 'eth2'].entries()) {
  const reason = port.padEnd(20_000, '.');
  state.events.append({
    kind: 'stage',
    stage: 'failed',
    at,
    machine,
    ...{ node: 'web1', bootId: 'a' },
    uptime: 1,
    reason,
  });
}
try {
  state.events.flush();
} catch (error) {
  const { code, message, hint } = error as AppError;
  process.stdout.write(`${code}: ${message}; ${hint}\n`);
}
process.stdout.write(`told: ${state.writes.trouble()?.message}\n`);
process.stdout.write(`still shown: ${state.events.list().length}\n`);
state.close();
process.stdout.write('closed\n');
