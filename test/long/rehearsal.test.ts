import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ProofResult } from '../../src/rehearsal/result.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { images } from '../lab/harness/lab-under-test.ts';
import { processesAbout, until } from '../lab/harness/processes.ts';

const program = resolve(import.meta.dirname, '../../bin/rolecall');
const site = join(import.meta.dirname, '../lab/sites/balancers');
let state = '';

beforeAll(() => {
  state = mkdtempSync(join(tmpdir(), 'rc-rehearsal-'));
  mkdirSync(join(state, 'lab'));
  symlinkSync(images, join(state, 'lab/builds'));
});
afterAll(async () => {
  await until('nothing of the lab is left', 30, () => processesAbout(state).length === 0);
  rmSync(state, { recursive: true });
});

it('a pair of balancers is rehearsed: all boot, services answer, the master is lost and returns', async () => {
  const report = join(state, 'report');
  const { stdout, stderr, exitCode } = await runProgram(
    program,
    [
      ...['--site', site, '--state', state, '--json'],
      ...['lab', 'test', '--only', 'lb1,lb2,web1', '--report', report],
    ],
    { accept: [1] },
  );
  const results = JSON.parse(stdout) as ProofResult[];
  for (const { outcome, title, detail } of results) {
    process.stderr.write(`lab: ${outcome} ${title}: ${detail}\n`);
  }
  expect(exitCode, stderr).toBe(0);
  const titles = (outcome: ProofResult['outcome']) =>
    results
      .filter((r) => r.outcome === outcome)
      .map((r) => r.title.replace(/lb\d, one/, 'lb, one'));
  expect(titles('passed').sort()).toEqual([
    'direct at 203.0.113.81:80 answers a client on outside',
    'lb1 boots and is ready as lb',
    'lb2 boots and is ready as lb',
    'loss of lb, one of the balancers of www, direct',
    'return of lb, one of the balancers of www, direct',
    'web1 boots and is ready as web',
    'www at 203.0.113.80:80 answers a client on outside',
  ]);
  expect(titles('not tried')).toEqual(['loss of one of the servers of www, direct']);
  const loss = results.find((r) => r.title.startsWith('loss of lb'));
  expect(loss?.detail).toMatch(
    /^\w+ at 203\.0\.113\.8[01]:80 \d+\.\d s without an answer, \d+ of \d+/,
  );

  const timeline = readFileSync(join(report, 'timeline.svg'), 'utf8');
  expect(timeline).toMatch(/lb\d, one of the balancers of www, direct, is switched off/);
  expect(timeline).toMatch(/<title>lb\d: off for /);
  expect(readFileSync(join(report, 'junit.xml'), 'utf8')).toContain('tests="8" failures="0"');
  expect(readFileSync(join(report, 'report.html'), 'utf8')).toContain(
    '7 passed, 0 failed, 1 not tried',
  );
  expect(readFileSync(join(report, 'consoles/web1.log'), 'utf8')).toContain('boots as web');
  expect(existsSync(join(state, 'lab/rehearsal'))).toBe(false);
});

it('refuses a name that is nothing in the site before anything is started', async () => {
  const { stderr, exitCode } = await runProgram(
    program,
    ['--site', site, '--state', state, 'lab', 'test', '--only', 'web9'],
    { accept: [2] },
  );
  expect(exitCode).toBe(2);
  expect(stderr).toContain('--only web9: the site has no such node, service, volume or role');
});
