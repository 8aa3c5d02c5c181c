import type { Readable } from 'node:stream';
import { execa } from 'execa';
import { explainFailure } from './run-program.ts';

/**
 * Runs a program and hands its standard output to `read` as it comes; gives back what `read` gives. Fails as
 * runProgram does.
 */
export async function readOutput<T>(
  program: string,
  args: readonly string[],
  read: (output: Readable) => Promise<T>,
  env: Readonly<Record<string, string>> = {},
): Promise<T> {
  const child = execa(program, [...args], {
    ...{ stdin: 'ignore', buffer: { stdout: false, stderr: true }, env: { ...env } },
  });
  try {
    const [found] = await Promise.all([read(child.stdout), child]);
    return found;
  } catch (error) {
    child.kill();
    throw explainFailure(program, error);
  }
}
