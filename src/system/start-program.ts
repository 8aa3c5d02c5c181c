import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { AppError } from '../errors.ts';

/** A program that runs until it is told to end. */
export interface RunningProgram {
  readonly pid: number;
  /** Resolves when it has ended, however it did. */
  readonly ended: Promise<ProgramEnd>;
  /** SIGTERM, and SIGKILL where it is still there after `grace` milliseconds. */
  stop(grace?: number): Promise<ProgramEnd>;
}

export interface ProgramEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface StartOptions {
  /** File that takes standard output and error, appended. */
  readonly log: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Starts a program that cannot outlive this one: the kernel kills it when we end, even by SIGKILL
 * (PR_SET_PDEATHSIG of prctl(2), set by setpriv). Arguments as an array, no shell.
 */
export async function startProgram(
  program: string,
  args: readonly string[],
  options: StartOptions,
): Promise<RunningProgram> {
  const log = openSync(options.log, 'a');
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], {
    stdio: ['ignore', log, log],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: { ...process.env, ...options.env } }),
  });
  closeSync(log);
  const ended = new Promise<ProgramEnd>((resolve) => {
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
    child.once('error', () => resolve({ exitCode: null, signal: null }));
  });
  await spawned(child);
  return {
    pid: child.pid ?? 0,
    ended,
    stop: async (grace = 5_000) => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), grace);
      const end = await ended;
      clearTimeout(timer);
      return end;
    },
  };
}

function spawned(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve());
    child.once('error', (cause) =>
      reject(
        new AppError(
          'program-not-found',
          'setpriv is not installed',
          'apt-get install util-linux',
          {
            cause,
          },
        ),
      ),
    );
  });
}
