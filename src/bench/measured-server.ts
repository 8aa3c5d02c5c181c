import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import type { Cable } from './cable.ts';
import { type ProcessUsage, processTree, usageOf } from './process-usage.ts';

/** A server that runs at the server's end of the cable while it is measured. */
export interface MeasuredServer {
  readonly pid: number;
  /** What it and all that it started have taken so far. */
  usage(): Promise<ProcessUsage>;
  stop(): Promise<void>;
}

export interface MeasuredServerOptions {
  /** It is ready when it has printed this. */
  readonly ready?: RegExp;
  /** It is ready when this has come true; asked again and again. */
  readonly answers?: () => Promise<boolean>;
  readonly env?: Readonly<Record<string, string>>;
}

const main = join(import.meta.dirname, '../main.ts');
const patience = 120_000;

/** `rolecall serve`, exactly as an operator starts it. */
export function startRolecall(
  cable: Cable,
  { siteDir, stateDir }: { readonly siteDir: string; readonly stateDir: string },
): Promise<MeasuredServer> {
  return startMeasured(
    cable,
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      main,
      ...['--site', siteDir],
      ...['--state', stateDir],
      ...['serve', '--no-admin'],
    ],
    { ready: /^rolecall serves site/m },
  );
}

/** Starts a server and waits until it is ready; fails with its last words where it ends before. */
export async function startMeasured(
  cable: Cable,
  program: string,
  args: readonly string[],
  { ready, answers, env }: MeasuredServerOptions,
): Promise<MeasuredServer> {
  // `ip netns exec` becomes the program: its process id is the server's.
  const [command, words] = cable.at('server', program, args);
  const child = spawn(command, words, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const stop = () => end(child);
  const said = lastWords(child);
  const died = once(child, 'exit').then(() => {
    throw new AppError('peer-failed', `${program} ended before it was ready:\n${said()}`);
  });
  try {
    await Promise.race([died, isReady(child, said, ready, answers), tooLong(program)]);
  } catch (error) {
    await stop();
    throw error;
  } finally {
    died.catch(() => {});
  }
  const pid = child.pid ?? 0;
  return { pid, usage: async () => usageOf(await processTree(pid)), stop };
}

async function isReady(
  child: ChildProcess,
  said: () => string,
  ready: RegExp | undefined,
  answers: (() => Promise<boolean>) | undefined,
): Promise<void> {
  while (child.exitCode === null) {
    if ((ready?.test(said()) ?? true) && ((await answers?.()) ?? true)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function tooLong(program: string): Promise<never> {
  await new Promise((resolve) => setTimeout(resolve, patience).unref());
  throw new AppError('peer-failed', `${program} is not ready after ${patience / 1000} s`);
}

/** Keeps the end of what it prints, and lets it print on: a full pipe would stop it. */
function lastWords(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (bytes) => {
      text = (text + String(bytes)).slice(-4000);
    });
  }
  return () => text;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(timer);
}
