import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { execa } from 'execa';
import { vi } from 'vitest';
import type { RegisterCommand } from '../../../src/cli/command.ts';
import { AppError } from '../../../src/errors.ts';

const program = join(import.meta.dirname, '../../../bin/rolecall');

interface Ended {
  readonly out: string;
  readonly err: string;
  readonly code: number | undefined;
}

/** Runs the program as an operator would and gives back what it printed and how it ended. */
export async function runRolecall(args: readonly string[]): Promise<Ended> {
  const ended = await execa(program, [...args], { reject: false });
  return { out: ended.stdout, err: ended.stderr, code: ended.exitCode };
}

/** The same for some of its commands inside this process, which saves the start of a Node for each. */
export async function runCommands(
  commands: readonly RegisterCommand[],
  site: string,
  args: readonly string[],
  state = '',
): Promise<Ended> {
  const lines = { out: '', err: '' };
  const collect = (stream: NodeJS.WriteStream, to: 'out' | 'err') =>
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      lines[to] += String(text);
      return true;
    });
  const spies = [collect(process.stdout, 'out'), collect(process.stderr, 'err')];
  const top = new Command('rolecall').option('--json').exitOverride();
  const globals = () => ({
    ...{ site, state, supervised: false },
    json: top.opts<{ json?: true }>().json ?? false,
  });
  for (const register of commands) register(top, globals);
  process.exitCode = 0;
  try {
    await top.parseAsync([...args], { from: 'user' });
    return { ...lines, code: process.exitCode };
  } catch (error) {
    if (error instanceof CommanderError) return { ...lines, code: 2 };
    if (!(error instanceof AppError)) throw error;
    return { ...lines, err: `${error.message}\n${error.hint}`, code: codeOf(error) };
  } finally {
    process.exitCode = 0;
    for (const spy of spies) spy.mockRestore();
  }
}

const codeOf = (error: AppError) => (['usage', 'invalid-site'].includes(error.code) ? 2 : 1);
