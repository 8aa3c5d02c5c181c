import { AppError } from '../errors.ts';

interface Misfit {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** What a boot server answered that this program does not know, as a failure; undefined for any other error. */
export function strangeAnswer(error: unknown): AppError | undefined {
  // By its name: to load zod takes longer than many a command.
  if (!(error instanceof Error) || error.name !== 'ZodError') return undefined;
  const [first] = (error as Error & { issues: readonly Misfit[] }).issues;
  const where = first ? `: ${first.path.join('.')}: ${first.message}` : '';
  return new AppError(
    'strange-answer',
    `the boot server answers what this program does not know${where}`,
    'is it of another version? After an upgrade: systemctl restart rolecall',
    { cause: error },
  );
}
