import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A running program and every line that it has said, of both outputs. */
export interface FollowedProgram {
  readonly pid: number;
  readonly lines: readonly string[];
  /** The first line from number `from` on that is meant; waits for it, and fails with all that was said. */
  line(what: string, isMeant: (line: string) => boolean, from?: number): Promise<string>;
  /** Sends the signal, and waits for the end. */
  stop(signal: NodeJS.Signals): Promise<void>;
  signal(signal: NodeJS.Signals): void;
}

const patience = 15_000;

/** Starts a program with arguments as an array, no shell. */
export function followProgram(program: string, args: readonly string[]): FollowedProgram {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  const listeners = new Set<() => void>();
  const notify = () => {
    for (const listener of listeners) listener();
  };
  for (const output of [child.stdout, child.stderr]) {
    createInterface(output).on('line', (line) => {
      lines.push(line);
      notify();
    });
  }
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    const end = () => {
      hasEnded = true;
      notify();
      resolve();
    };
    child.once('close', end);
    child.once('error', end);
  });
  return {
    pid: child.pid ?? 0,
    lines,
    line: (what, isMeant, from = 0) =>
      new Promise((resolve, reject) => {
        const finish = (settle: () => void) => {
          clearTimeout(timer);
          listeners.delete(look);
          settle();
        };
        const fail = (why: string) =>
          finish(() =>
            reject(
              new Error(`${why}: ${what}; ${program} ${args.join(' ')} said:\n${lines.join('\n')}`),
            ),
          );
        const look = () => {
          const found = lines.slice(from).find(isMeant);
          if (found !== undefined) finish(() => resolve(found));
          else if (hasEnded) fail('it ended before this came');
        };
        const timer = setTimeout(() => fail(`not within ${patience / 1000} s`), patience);
        listeners.add(look);
        look();
      }),
    signal: (signal) => void child.kill(signal),
    async stop(signal) {
      if (!hasEnded) child.kill(signal);
      await ended;
    },
  };
}
