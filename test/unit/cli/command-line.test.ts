import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runRolecall } from './run-rolecall.ts';

const top = join(import.meta.dirname, '../../..');
let dir: string;
let site: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rolecall-line-'));
  site = join(dir, 'tokyo');
  await cp(join(top, 'test/lab/sites/webs'), site, { recursive: true });
});
afterEach(() => rm(dir, { recursive: true }));

/** The program with one of its outputs closed before it writes, as `| true` does; what the other one has. */
function runWithoutReader(closed: 'stdout' | 'stderr', args: readonly string[]) {
  return new Promise<{ code: number | null; rest: string }>((resolve) => {
    const child = spawn(join(top, 'bin/rolecall'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
    child[closed].destroy();
    let rest = '';
    child[closed === 'stdout' ? 'stderr' : 'stdout'].on('data', (part: Buffer) => {
      rest += part.toString();
    });
    child.on('close', (code) => resolve({ code, rest }));
  });
}

describe('what the operating system refuses is a sentence, not a stack', () => {
  test.each([
    ['image', 'ls'],
    ['lab', 'down'],
  ])('a state folder that is a file: %s %s', async (...words) => {
    const file = join(dir, 'file');
    await writeFile(file, '');
    const { code, out, err } = await runRolecall(['--state', file, ...words]);
    expect(err).toMatch(new RegExp(`^rolecall: ${file}/\\S+: not a directory \\(\\w+\\)\\n  \\S`));
    expect(err).not.toContain('    at ');
    expect({ code, out }).toEqual({ code: 1, out: '' });
  });

  test('nobody reads what it prints any more: it ends without a word', async () => {
    const ended = await runWithoutReader('stdout', ['--site', site, 'check']);
    expect(ended).toEqual({ code: 141, rest: '' });
  });

  test('nobody reads its warnings any more: its work and its exit code are the same', async () => {
    expect(await runWithoutReader('stderr', ['node', 'set-role'])).toEqual({ code: 2, rest: '' });
    const file = join(dir, 'file');
    await writeFile(file, '');
    const refused = await runWithoutReader('stderr', ['--state', file, 'image', 'ls']);
    expect(refused).toEqual({ code: 1, rest: '' });
  });
});

describe('a run that ends before its verdict leaves none of an earlier run', () => {
  test.each([
    ['lab', 'test'],
    ['image', 'test', 'universal'],
  ])('%s %s', async (...words) => {
    const report = join(dir, 'report');
    await mkdir(report);
    for (const name of ['junit.xml', 'report.html', 'timeline.svg', 'notes']) {
      await writeFile(join(report, name), 'green');
    }
    await writeFile(join(site, 'nodes/web1.yaml'), 'role: [web\n');
    const args = ['--site', site, '--state', join(dir, 'state'), ...words, '--report', report];
    expect(await runRolecall(args)).toMatchObject({ code: 2 });
    expect(await readdir(report)).toEqual(['notes']);
  });
});

describe('help', () => {
  test('every command lists --site, --state and --json too', async () => {
    const { out, code } = await runRolecall(['check', '--help']);
    expect(code).toBe(0);
    for (const option of ['--site <dir>', '--state <dir>', '--json']) {
      expect(out.split(`  ${option} `)).toHaveLength(2);
    }
  });

  test('bad usage shows how the command is called', async () => {
    const { out, err, code } = await runRolecall(['node', 'set-role', 'web1']);
    expect(err).toContain("missing required argument 'role'");
    expect(err).toContain('usage: rolecall node set-role [options] <node> <role...>');
    expect(err).toContain('rolecall node set-role --help');
    expect({ out, code }).toEqual({ out: '', code: 2 });
  });

  test('--version is the one of package.json', async () => {
    const { version } = JSON.parse(await readFile(join(top, 'package.json'), 'utf8'));
    expect(await runRolecall(['--version'])).toEqual({ out: version, err: '', code: 0 });
  });
});

test('lab up refuses an unknown accelerator before it builds an image', async () => {
  const args = ['--state', join(dir, 'state'), 'lab', 'up', '--only', 'nobody', '--accel', 'xen'];
  const { out, err, code } = await runRolecall(args);
  expect(err).toContain('--accel xen is unknown');
  expect({ out, code }).toEqual({ out: '', code: 2 });
});

test('an image that is not there, and what there is, as check would say it', async () => {
  const { out, err, code } = await runRolecall(['--site', site, 'build', '--plan', 'univresal']);
  expect(err).toMatch(
    /^rolecall: \S*images\/univresal.yaml: there is no image univresal\n +the shipped one/,
  );
  expect({ out, code }).toEqual({ out: '', code: 2 });
});
