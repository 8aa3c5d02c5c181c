import { getSystemErrorMessage } from 'node:util';
import { AppError } from '../errors.ts';

const hints: Readonly<Record<string, string>> = {
  EACCES: 'run the command as the user who owns it, or name another folder with --site or --state',
  EPERM: 'run the command as the user who owns it, or name another folder with --site or --state',
  ENOTDIR: 'name a folder with --site or --state',
  ELOOP: 'a link leads back to itself: remove it',
  ENOSPC: 'the disk is full: df -h shows which',
  EROFS: 'the file system is mounted read-only: look at dmesg, or name another folder',
};

/** What the operating system refused (errno(3)), as a failure that names the path; undefined for any other error. */
export function systemFailure(error: unknown): AppError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { errno, code, path, syscall } = error as NodeJS.ErrnoException;
  if (errno === undefined || code === undefined || syscall === undefined) return undefined;
  const what = `${path ?? syscall}: ${getSystemErrorMessage(errno)} (${code})`;
  return new AppError('system', what, hints[code] ?? `it was to ${syscall}`, { cause: error });
}
