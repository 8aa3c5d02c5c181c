import { createInterface } from 'node:readline/promises';
import { AppError } from '../errors.ts';

interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream;
}

/**
 * Goes on only if somebody types `word` at the terminal. Where there is none it refuses: a script says `--yes`.
 */
export async function confirm(
  word: string,
  { input, output }: Terminal = { input: process.stdin, output: process.stdout },
): Promise<void> {
  if (!input.isTTY) {
    throw new AppError(
      'not-confirmed',
      'nobody can be asked here, so nothing was changed',
      'in a terminal, or with --yes',
    );
  }
  const terminal = createInterface({ input, output });
  const typed = await terminal.question(`Type ${word} to go on: `).catch(() => {
    // Ctrl-C and Ctrl-D are an answer too, and leave the line open.
    output.write('\n');
    return '';
  });
  terminal.close();
  if (typed.trim() !== word) throw new AppError('not-confirmed', 'nothing was changed');
}
