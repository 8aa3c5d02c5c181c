import { getSystemErrorMessage } from 'node:util';
import { AppError } from '../errors.ts';

const hints: Readonly<Record<string, string>> = {
  EACCES: 'let this user read it: chmod or chown, or run the command as its owner',
  EISDIR: 'put a file there, or take it away',
  ELOOP: 'remove the link, or put the file itself there',
  ENOTDIR: 'put a folder there, or take it away',
};

/** Why a file or folder could not be read (errno(3)), and what to do; undefined where the error is of another kind. */
export function unreadable(error: unknown): { message: string; hint: string } | undefined {
  if (error instanceof AppError) return { message: error.message, hint: error.hint };
  if (!(error instanceof Error)) return undefined;
  const { errno, code } = error as NodeJS.ErrnoException;
  if (errno === undefined || code === undefined) return undefined;
  const message = `it cannot be read: ${getSystemErrorMessage(errno)} (${code})`;
  return { message, hint: hints[code] ?? '' };
}
