import { runProgram } from '../system/run-program.ts';

/** What a program took that has ended well. */
export interface TimedRun {
  readonly seconds: number;
  /** Seconds of processor of it and of all that it waited for. */
  readonly cpu: number;
  /** What it said on standard error. */
  readonly said: string;
}

/** times(2) counts children that were waited for, and those that they had waited for. */
const script =
  'my $code = system { $ARGV[0] } @ARGV; my @t = times; printf STDERR "\\ncpu %.2f\\n", $t[2] + $t[3]; exit($code ? 1 : 0)';

/** Runs a program to its end and says what that took; fails where it does. */
export async function timeProgram(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<TimedRun> {
  const begin = performance.now();
  const { stderr } = await runProgram('perl', ['-e', script, '--', program, ...args], { env });
  const seconds = (performance.now() - begin) / 1000;
  const at = stderr.lastIndexOf('\ncpu ');
  return { seconds, cpu: Number(stderr.slice(at + 5)), said: stderr.slice(0, at) };
}
