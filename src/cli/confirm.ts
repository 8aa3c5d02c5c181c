import { createInterface } from 'node:readline/promises';
import { AppError } from '../errors.ts';

/**
 * Goes on only if somebody types `word` at the terminal. Where there is none it refuses: a script says `--yes`.
 */
export async function confirm(word: string): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new AppError(
      'not-confirmed',
      'nobody can be asked here, so nothing was changed',
      'in a terminal, or with --yes',
    );
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const typed = await terminal.question(`Type ${word} to go on: `);
  terminal.close();
  if (typed.trim() !== word) throw new AppError('not-confirmed', 'nothing was changed');
}
