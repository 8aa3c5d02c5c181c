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
const exampleLab = join(import.meta.dirname, '../../examples/lab');
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

/** Rehearses a site; every proof's outcome and title, with the names of whoever was lost left out. */
async function rehearse(folder: string, report: string, ...args: readonly string[]) {
  const { stdout, stderr, exitCode } = await runProgram(
    program,
    ['--site', folder, '--state', state, '--json', 'lab', 'test', '--report', report, ...args],
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
      .map((r) => r.title.replace(/(lb|nfs|web)\d, one/, '$1, one'))
      .sort();
  return { results, titles };
}

it('a pair of balancers is rehearsed: all boot, services answer, the master is lost and returns', async () => {
  const report = join(state, 'report');
  const { results, titles } = await rehearse(site, report, '--only', 'lb1,lb2,web1');
  expect(titles('passed')).toEqual([
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

it('a mail server with its storage pair: the pair loses the one that leads, and no write and no mail is lost', async () => {
  const report = join(state, 'part-report');
  const part = ['--only', 'lb1,mail1,nfs1,nfs2'];
  const { results, titles } = await rehearse(exampleLab, report, ...part);
  expect(titles('passed')).toEqual(
    [
      'lb1 boots and is ready as lb',
      'mail1 boots and is ready as mail',
      ...['nfs1', 'nfs2'].map((node) => `${node} boots and is ready as storage`),
      'volume www is made on nfs1 and nfs2',
      'volume mail is made on nfs2 and nfs1, and mail1 mounts it',
      ...[25, 143, 587, 993].map((port) => `mail at 10.77.0.25:${port} answers a client on boot`),
      'mail: a mail handed in at 10.77.0.25:25 is read at 10.77.0.25:993',
      ...['loss', 'return'].map((what) => `${what} of nfs, one of the pair that holds mail`),
      'volume mail: every write that mail1 was told is done is found',
      'mail: a mail handed in at 10.77.0.25:25 is read at 10.77.0.25:993, after the losses',
    ].sort(),
  );
  expect(titles('not tried')).toEqual([
    'loss of one of the balancers of mail',
    'loss of one of the servers of mail',
    'service www',
    'writes to the volume www',
  ]);
  const again = results.find((r) => r.title.endsWith('after the losses'));
  expect(again?.detail).toContain('all 2 read');
});

it("the lab's own site: seven nodes, no write and no mail lost with a node of any pair", async () => {
  const report = join(state, 'lab-report');
  const { results, titles } = await rehearse(exampleLab, report);
  expect(titles('passed')).toEqual(
    [
      ...['lb1', 'lb2'].map((node) => `${node} boots and is ready as lb`),
      ...['nfs1', 'nfs2'].map((node) => `${node} boots and is ready as storage`),
      ...['web1', 'web2'].map((node) => `${node} boots and is ready as web`),
      'mail1 boots and is ready as mail',
      'volume www is made on nfs1 and nfs2, and web1 mounts it',
      'volume mail is made on nfs2 and nfs1, and mail1 mounts it',
      'www at 10.77.0.80:80 answers a client on boot',
      ...[25, 143, 587, 993].map((port) => `mail at 10.77.0.25:${port} answers a client on boot`),
      'mail: a mail handed in at 10.77.0.25:25 is read at 10.77.0.25:993',
      ...['loss', 'return'].flatMap((what) => [
        `${what} of lb, one of the balancers of www, mail`,
        `${what} of web, one of the servers of www`,
        `${what} of nfs, one of the pair that holds www, mail`,
      ]),
      'volume www: every write that web1 was told is done is found',
      'volume mail: every write that mail1 was told is done is found',
      'mail: a mail handed in at 10.77.0.25:25 is read at 10.77.0.25:993, after the losses',
    ].sort(),
  );
  expect(titles('not tried')).toEqual(['loss of one of the servers of mail']);
  const again = results.find((r) => r.title.endsWith('after the losses'));
  expect(again?.detail).toContain('all 2 read');
  const timeline = readFileSync(join(report, 'timeline.svg'), 'utf8');
  expect(timeline).toContain('>volume mail</text>');
  expect(timeline).toMatch(/nfs\d, one of the pair that holds www, mail, is switched off/);
  const junit = readFileSync(join(report, 'junit.xml'), 'utf8');
  for (const group of ['node', 'volume', 'service', 'mail', 'loss']) {
    expect(junit).toContain(`<testsuite name="${group}"`);
  }
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
