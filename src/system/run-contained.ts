import { type ProgramResult, type RunOptions, runProgram } from './run-program.ts';

/**
 * Runs a program in namespaces of its own for processes and mounts, so that neither it nor anything
 * it started or mounted outlives this process, even where that is killed. Needs root.
 */
export function runContained(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<ProgramResult> {
  return runProgram(
    'setpriv',
    [
      // The kernel kills unshare with us, and the namespace's first process with unshare.
      ...['--pdeathsig', 'KILL', '--'],
      ...['unshare', '--pid', '--fork', '--kill-child=KILL', '--mount-proc', '--'],
      ...[program, ...args],
    ],
    options,
  );
}
