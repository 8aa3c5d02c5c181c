import { expect, it } from 'vitest';
import { timeProgram } from '../../../src/bench/time-program.ts';

it('a program is timed with those that it waited for', async () => {
  const burn = 'perl -e "1 while times < 0.3"; echo done >&2';
  const run = await timeProgram('sh', ['-c', burn]);
  expect(run.said).toBe('done\n');
  expect(run.cpu).toBeGreaterThanOrEqual(0.3);
  expect(run.seconds).toBeGreaterThan(0.2);
  await expect(timeProgram('sh', ['-c', 'echo odd >&2; exit 3'])).rejects.toThrow('odd');
});
