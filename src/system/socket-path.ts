import { AppError } from '../errors.ts';

/** sun_path of unix(7) holds 108 bytes with its closing zero; what is longer, Linux calls an invalid argument. */
const longest = 107;

/** Why no socket can have this path, and what to do; undefined where one can. */
export function unfitForSocket(
  path: string,
): { readonly message: string; readonly hint: string } | undefined {
  const over = Buffer.byteLength(path) - longest;
  if (over <= 0) return undefined;
  return {
    message: `the path of a socket has at most ${longest} bytes, and this one ${longest + over}: ${path}`,
    hint: `choose a state folder whose path is shorter by ${over}: --state DIR`,
  };
}

/** Refuses a path that no socket can have. */
export function requireSocketPath(path: string): void {
  const unfit = unfitForSocket(path);
  if (unfit) throw new AppError('path-too-long', unfit.message, unfit.hint);
}
