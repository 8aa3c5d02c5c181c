import type { NextFunction, Request, Response } from 'express';

/** Answers with one line of plain text; `allow` lists the methods of a 405. */
export function plain(response: Response, status: number, line: string, allow?: string): void {
  if (allow) response.setHeader('Allow', allow);
  response.status(status).type('text/plain').send(`${line}\n`);
}

/** The last handler of an app: what a request did wrong in its own status, anything else as 500 and on the log. */
export function answerErrors(
  error: unknown,
  request: Request,
  response: Response,
  next: NextFunction,
): void {
  if (response.headersSent) {
    next(error);
    return;
  }
  const { status = 500, message = '' } = error as { status?: number; message?: string };
  if (status < 500) {
    plain(response, status, message);
    return;
  }
  process.stderr.write(`rolecall: ${request.method} ${request.path}: ${String(error)}\n`);
  for (const name of ['ETag', 'Cache-Control', 'Content-Range']) response.removeHeader(name);
  plain(response, 500, 'the server could not answer; its log says why');
}
