import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { requireSocketPath } from '../system/socket-path.ts';
import type { GlobalOptions } from './command.ts';

/** Milliseconds without a byte. */
const patience = 10_000;

/**
 * The JSON that the running server answers to `GET path`: over the unix socket of the state folder, or from `server`, a URL.
 * Fails with an AppError where no server runs, and with the server's own message and hint where it refuses.
 */
export async function fetchAdmin(
  globals: Pick<GlobalOptions, 'state'>,
  path: string,
  server?: string,
): Promise<unknown> {
  const answer = parseJson((await fetchAdminBytes(globals, path, server)).toString());
  if (answer !== undefined) return answer;
  throw notRolecall(server ?? socketOf(globals), 200);
}

/** Posts JSON to the server of the state folder, over its socket; its answer as {@link fetchAdmin} gives it. */
export async function postAdmin(
  globals: Pick<GlobalOptions, 'state'>,
  path: string,
  body: unknown,
): Promise<unknown> {
  const ask = { path, body: JSON.stringify(body) };
  const answer = await call(undefined, socketOf(globals), ask).catch((error: Error) => {
    throw notReached(undefined, globals.state, error);
  });
  return parseJson(bodyOf(answer, socketOf(globals)).toString());
}

/** The same for an answer that is no JSON. */
export async function fetchAdminBytes(
  globals: Pick<GlobalOptions, 'state'>,
  path: string,
  server?: string,
): Promise<Buffer> {
  const answer = await call(server, socketOf(globals), { path }).catch((error: Error) => {
    throw notReached(server, globals.state, error);
  });
  return bodyOf(answer, server ?? socketOf(globals));
}

function bodyOf({ status, body }: { status: number; body: Buffer }, where: string): Buffer {
  if (status === 200) return body;
  const answer = parseJson(body.toString()) as
    | { error?: { code: string; message: string; hint: string } }
    | undefined;
  const refused = answer?.error;
  if (refused) throw new AppError(refused.code, refused.message, refused.hint);
  throw notRolecall(where, status);
}

function socketOf({ state }: Pick<GlobalOptions, 'state'>): string {
  const path = join(state, 'admin.sock');
  requireSocketPath(path);
  return path;
}

function notRolecall(where: string, status: number): AppError {
  return new AppError(
    'not-rolecall',
    `what answers at ${where} is no rolecall (status ${status})`,
    'check the URL given with --server',
  );
}

function call(
  server: string | undefined,
  socketPath: string,
  { path, body }: { readonly path: string; readonly body?: string },
): Promise<{ status: number; body: Buffer }> {
  const method = body === undefined ? 'GET' : 'POST';
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const take = (response: IncomingMessage) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }),
      );
    };
    const request = server
      ? requestOf(server)(new URL(path, server), take)
      : httpRequest({ socketPath, path, method, headers: { host: 'localhost', ...type } }, take);
    request.setTimeout(patience, () =>
      request.destroy(new Error(`no answer within ${patience / 1000} s`)),
    );
    request.on('error', reject);
    request.end(body);
  });
}

function requestOf(server: string): typeof httpRequest {
  const protocol = URL.parse(server)?.protocol;
  if (protocol === 'http:') return httpRequest;
  if (protocol === 'https:') return httpsRequest;
  throw new AppError('usage', `--server ${server} is no URL`, '--server http://127.0.0.1:8470');
}

function notReached(server: string | undefined, state: string, error: Error): AppError {
  if (error instanceof AppError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  if (server) {
    return new AppError(
      'server-not-reached',
      `no server answers at ${server}: ${error.message}`,
      'rolecall serve shows at its start where it listens',
      { cause: error },
    );
  }
  if (code === 'EACCES') {
    return new AppError(
      'server-not-reached',
      `this user may not ask the server of ${state}`,
      'run the command as the user of the server, or give --server URL',
      { cause: error },
    );
  }
  const absent = code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR';
  return new AppError(
    'server-not-reached',
    absent
      ? `no boot server runs with the state folder ${state}`
      : `the server of ${state} does not answer: ${error.message}`,
    'start it: rolecall --site DIR serve; or say where it is: --state DIR before the noun, --server URL after it.\nThe lab has its own: rolecall lab status',
    { cause: error },
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
