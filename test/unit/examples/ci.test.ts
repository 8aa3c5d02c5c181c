import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { validateWorkflow } from '@action-validator/core';
import { Command, CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { loadCommands } from '../../../src/cli/commands.ts';
import { runProgram } from '../../../src/system/run-program.ts';

const commands = await loadCommands();
const folder = join(import.meta.dirname, '../../../examples/ci');
const textOf = (name: string) => readFileSync(join(folder, name), 'utf8');

/** Why a line that begins with `rolecall` cannot be typed; empty where it can. Runs nothing. */
function faultOf(line: string): string {
  const program = new Command('rolecall')
    .option('--site <dir>')
    .option('--state <dir>')
    .option('--json')
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  const nowhere = () => ({ site: '', state: '', json: false, supervised: false });
  for (const register of commands) register(program, nowhere);
  disarm(program);
  // Words of a shell: quotes are taken off, what it would put in is a word like any other.
  const words =
    line.match(/"[^"]*"|'[^']*'|\S+/g)?.map((word) => word.replaceAll(/["']/g, '')) ?? [];
  try {
    program.parse(words.slice(1), { from: 'user' });
    return '';
  } catch (error) {
    if (error instanceof CommanderError) return error.message;
    throw error;
  }
}

/** Takes away what commands do, and leaves how they are typed. */
function disarm(command: Command): void {
  if (command.commands.length === 0) command.action(() => {});
  command.exitOverride().configureOutput({ writeErr: () => {} });
  for (const inner of command.commands) disarm(inner);
}

/** Every `rolecall …` of a shell script, up to what a shell takes for itself. */
function callsOf(script: string): readonly string[] {
  const joined = script.replaceAll(/\\\n\s*/g, ' ');
  return [...joined.matchAll(/(?:^|[\s(;|&])(rolecall (?:"[^"]*"|[^|;&>\n"])*)/g)].map(
    ([, call = '']) => call.trim(),
  );
}

const steps = z.array(z.looseObject({ run: z.string().optional() }));
const workflow = z.object({ jobs: z.record(z.string(), z.looseObject({ steps })) });

const cache = z.strictObject({
  key: z.string(),
  paths: z.array(z.string()).min(1),
  policy: z.enum(['pull', 'push', 'pull-push']).optional(),
});
/** Of https://docs.gitlab.com/ci/yaml/ the keywords that the file uses, and no other. */
const job = z.strictObject({
  stage: z.string(),
  tags: z.array(z.string()).optional(),
  timeout: z.string().optional(),
  needs: z.array(z.string()).optional(),
  rules: z.array(z.strictObject({ if: z.string() })).optional(),
  before_script: z.array(z.string()).optional(),
  script: z.array(z.string()).min(1),
  cache: z.union([cache, z.array(cache).max(4)]).optional(),
  artifacts: z
    .strictObject({
      when: z.enum(['on_success', 'on_failure', 'always']),
      paths: z.array(z.string()),
      reports: z.strictObject({ junit: z.string() }),
    })
    .optional(),
});
const pipeline = z
  .object({
    image: z.string(),
    stages: z.array(z.string()),
    variables: z.record(z.string(), z.string()),
    default: z.strictObject({ before_script: z.array(z.string()) }),
  })
  .catchall(job);

function githubScripts(): readonly string[] {
  const { jobs } = workflow.parse(parse(textOf('github-actions.yaml')));
  return Object.values(jobs).flatMap((one) => one.steps.flatMap(({ run }) => run ?? []));
}

function gitlabScripts(): readonly string[] {
  const {
    image: _i,
    stages: _s,
    variables: _v,
    ...jobs
  } = pipeline.parse(parse(textOf('gitlab-ci.yaml')));
  return Object.values(jobs).flatMap((one) => [
    ...(one.before_script ?? []),
    ...('script' in one ? (one as z.infer<typeof job>).script : []),
  ]);
}

describe.each([
  ['github-actions.yaml', githubScripts],
  ['gitlab-ci.yaml', gitlabScripts],
])('%s', (name, scripts) => {
  it('calls rolecall as it can be called', () => {
    const calls = scripts().flatMap(callsOf);
    const asked = ['check', 'build', 'image import', 'image diff', 'image test', 'image export'];
    for (const words of asked) {
      expect(
        calls.filter((call) => call.replace(' --json', '').includes(`rolecall ${words}`)),
      ).not.toEqual([]);
    }
    expect(calls.flatMap((call) => faultOf(call) || [])).toEqual([]);
  });

  it('has scripts of which a shell and shellcheck think well', async () => {
    for (const script of scripts()) {
      // What the CI puts in before a shell sees it.
      const input = script.replaceAll(/\$\{\{[^}]*\}\}/g, 'value');
      const { stdout, exitCode } = await runProgram(
        'shellcheck',
        ['--shell', 'sh', '--exclude', 'SC2154', '-'],
        { input, accept: [1] },
      );
      expect(exitCode, stdout).toBe(0);
    }
  });

  it('names no key', () => {
    expect(textOf(name)).not.toMatch(/PRIVATE KEY|ed25519:/);
  });
});

it('a line that rolecall does not know would be found', () => {
  expect(faultOf('rolecall build --quickly')).toContain('unknown option');
  expect(faultOf('rolecall image tset universal')).toContain('unknown command');
  expect(faultOf('rolecall image diff one')).toContain('missing required argument');
  expect(faultOf('rolecall --json image export universal "$file" --key "$KEY"')).toBe('');
  expect(callsOf('a | rolecall check >x; b=$(rolecall --json image ls | sed p)')).toEqual([
    'rolecall check',
    'rolecall --json image ls',
  ]);
});

it('the workflow of GitHub is one by its schema', () => {
  const text = textOf('github-actions.yaml');
  expect(validateWorkflow(text).errors).toEqual([]);
  expect(validateWorkflow(text.replace('runs-on:', 'run-on:')).errors).not.toEqual([]);
});

it('the pipeline of GitLab names stages and jobs that are there, and at most four caches', () => {
  const text = textOf('gitlab-ci.yaml');
  const { image: _i, stages, variables: _v, default: _d, ...jobs } = pipeline.parse(parse(text));
  for (const one of Object.values(jobs) as z.infer<typeof job>[]) {
    expect(stages).toContain(one.stage);
    for (const need of one.needs ?? []) expect(Object.keys(jobs)).toContain(need);
  }
  expect(() => pipeline.parse(parse(text.replace('script:', 'scripts:')))).toThrow();
});

it('every file of the folder is looked at here', () => {
  expect(readdirSync(folder).sort()).toEqual(['github-actions.yaml', 'gitlab-ci.yaml']);
});
