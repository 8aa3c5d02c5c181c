import { ExecaError, execa } from 'execa';
import { AppError } from '../errors.ts';

/** How a program ended well. */
export interface ProgramResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Nothing of this process's own environment is in the program's. */
  readonly cleanEnvironment?: boolean;
  /** Bytes or text for standard input; none by default. */
  readonly input?: string | Uint8Array;
  /** Milliseconds; none by default. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
  /** Exit codes that are not a failure; 0 is always one. */
  readonly accept?: readonly number[];
  /** Called with each whole line of standard error as it comes. */
  readonly onStderrLine?: (line: string) => void;
}

/** Debian package by program, for the hint when a program is not there. */
const packageOf: Readonly<Record<string, string>> = {
  mmdebstrap: 'mmdebstrap',
  mksquashfs: 'squashfs-tools',
  unsquashfs: 'squashfs-tools',
  'qemu-system-x86_64': 'qemu-system-x86',
  ip: 'iproute2',
  nft: 'nftables',
  zstd: 'zstd',
  'dpkg-deb': 'dpkg',
  'ssh-keygen': 'openssh-client',
  openssl: 'openssl',
  xz: 'xz-utils',
  cpio: 'cpio',
  shellcheck: 'shellcheck',
  busybox: 'busybox-static',
};

/**
 * Runs a program to its end with arguments as an array, no shell.
 * Fails with an AppError that shows the command, how it ended, how long it took and its last lines.
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<ProgramResult> {
  const { accept = [], onStderrLine, input, signal, cwd, env, timeout } = options;
  const extendEnv = options.cleanEnvironment !== true;
  try {
    const child = execa(program, [...args], {
      extendEnv,
      ...(cwd === undefined ? {} : { cwd }),
      ...(env === undefined ? {} : { env: { ...env } }),
      ...(timeout === undefined ? {} : { timeout }),
      ...(signal === undefined ? {} : { cancelSignal: signal }),
      ...(input === undefined ? { stdin: 'ignore' as const } : { input }),
      maxBuffer: 64 * 1024 * 1024,
    });
    if (onStderrLine) void followLines(child.iterable({ from: 'stderr' }), onStderrLine);
    const result = await child;
    return { stdout: result.stdout, stderr: result.stderr, exitCode: 0 };
  } catch (error) {
    if (
      error instanceof ExecaError &&
      error.exitCode !== undefined &&
      accept.includes(error.exitCode)
    ) {
      return {
        stdout: String(error.stdout ?? ''),
        stderr: String(error.stderr ?? ''),
        exitCode: error.exitCode,
      };
    }
    throw explainFailure(program, error);
  }
}

async function followLines(lines: AsyncIterable<unknown>, onLine: (line: string) => void) {
  try {
    for await (const line of lines) onLine(String(line));
  } catch {
    // The failure of the program itself is reported by the awaited call.
  }
}

/** A program's failure as an AppError that shows the command; any other error as it is. */
export function explainFailure(program: string, error: unknown): unknown {
  if (!(error instanceof ExecaError)) return error;
  if (error.code === 'ENOENT') {
    const name = packageOf[program];
    return new AppError(
      'program-not-found',
      `${program} is not installed`,
      name ? `apt-get install ${name}` : `install ${program}`,
      { cause: error },
    );
  }
  const seconds = (error.durationMs / 1000).toFixed(1);
  const end = error.timedOut
    ? 'ran out of time'
    : error.signal
      ? `was ended by ${error.signal}`
      : `ended with exit code ${error.exitCode ?? 'unknown'}`;
  const tail = String(error.stderr ?? '')
    .trim()
    .split('\n')
    .slice(-8)
    .join('\n  ');
  return new AppError(
    'program-failed',
    `${error.escapedCommand}\n  ${end} after ${seconds} s${tail ? `; its last lines:\n  ${tail}` : ''}`,
    '',
    { cause: error },
  );
}
