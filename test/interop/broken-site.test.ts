import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { followProgram } from './followed-program.ts';
import { startNetworkPair } from './network-pair.ts';

const program = join(import.meta.dirname, '../lab/harness/boot-server-process.ts');

it('after a power cut with a half-written edit on disk, the machines boot what was served last', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rc-broken-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const network = await startNetworkPair('10.77.0.1/24');
  onTestFinished(() => network.stop());
  const start = async (mode: string) => {
    const server = followProgram(...network.onServer(process.execPath, [program, folder, mode]));
    onTestFinished(() => server.stop('SIGKILL'));
    await server.line('it listens', (line) => line.startsWith('listening:'));
    return server;
  };
  const first = await start('server');
  // A copy is kept with the first look at the site, soon after the server listens.
  for (const end = Date.now() + 15_000; readKept(folder) === '' && Date.now() < end; )
    await delay(50);
  await first.stop('SIGKILL');
  const role = join(folder, 'site/nodes/web1.yaml');
  writeFileSync(role, readFileSync(role, 'utf8').slice(0, 20));

  const second = await start('as-is');
  const told = await second.line('why', (line) => line.includes('the last good one is served'));
  expect(told).toMatch(/^site: the site on disk is invalid/);
  await second.line('where', (line) => line.includes('nodes/web1.yaml:1'));
  const ask = [
    '--silent',
    '--max-time',
    '10',
    'http://10.77.0.1/boot/script?mac=52:54:00:00:00:11',
  ];
  const script = followProgram(...network.onServer('curl', ask));
  await script.line('the script of web1', (line) => line.includes('web1 boots as web'));
});

function readKept(folder: string): string {
  try {
    return readFileSync(join(folder, 'state/last-good-site/served/site.yaml'), 'utf8');
  } catch {
    return '';
  }
}
