import { AppError } from '../errors.ts';
import { type ProgramResult, type RunOptions, runProgram } from './run-program.ts';

export interface ContainedOptions extends RunOptions {
  /** False: the program reaches no network, and the host's name is `localhost` for it. */
  readonly network?: false;
}

/**
 * Runs a program with umask 022, in namespaces of its own for processes and mounts, so that neither
 * it nor anything it started or mounted outlives this process, even where that is killed. Of this process's
 * environment it sees what leads to programs, and to a network that it may reach: what else is there, a CI's tokens
 * among it, is in nothing that it leaves. Needs root.
 */
export async function runContained(
  program: string,
  args: readonly string[],
  { network, ...options }: ContainedOptions = {},
): Promise<ProgramResult> {
  // The kernel kills unshare with us, and the namespace's first process with unshare.
  const container = [
    ...['--pdeathsig', 'KILL', '--', 'unshare', '--pid', '--fork', '--kill-child=KILL'],
    // The modes of what it writes must not depend on who runs it.
    ...(network === false ? ['--net', '--uts'] : []),
    ...[
      '--mount-proc',
      '--',
      'sh',
      '-c',
      `umask 022; ${network === false ? alone : ''}exec "$@"`,
      'sh',
    ],
  ];
  try {
    const env = { ...environment(network), ...options.env };
    return await runProgram('setpriv', [...container, program, ...args], {
      ...{ ...options, env, cleanEnvironment: true },
    });
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'program-failed') throw error;
    // What the operator would type to see it fail again is the program itself.
    const command = error.message.replace(/^setpriv .*?exec "\$@"' sh /, '');
    throw new AppError(error.code, command, error.hint, { cause: error });
  }
}

/** Some programs speak to themselves. */
const alone = 'ip link set lo up && hostname localhost && ';

const ways = ['PATH', 'TMPDIR'];
const waysOut = ['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy'];

function environment(network: false | undefined): Record<string, string> {
  const names = network === false ? ways : [...ways, ...waysOut];
  const found = names.map((name) => [name, process.env[name]]);
  return { HOME: '/root', ...Object.fromEntries(found.filter(([, value]) => value !== undefined)) };
}
