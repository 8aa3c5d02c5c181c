import { request } from 'node:http';
import { AppError } from '../errors.ts';

/** Asks an HTTP server behind a unix socket; gives back its JSON, refuses any answer but 200. */
export function askJson(
  socketPath: string,
  method: 'GET' | 'POST',
  path: string,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (why: string, hint = '') => reject(new AppError('lab-refused', why, hint));
    // A connection for each question: one that is kept may be closed by the server as the next goes out.
    const options = { socketPath, method, path, timeout: 30_000, agent: false };
    const ask = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', (error) => fail(`${method} ${path}: ${error.message}`));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const value = parse(text);
        if (response.statusCode === 200 && value !== undefined) return resolve(value);
        const told = (value as { error?: { message?: string; hint?: string } } | undefined)?.error;
        fail(
          told?.message ?? `${method} ${path}: ${response.statusCode} ${text.slice(0, 200)}`,
          told?.hint,
        );
      });
    });
    ask.on('timeout', () => ask.destroy(new Error('no answer')));
    ask.on('error', (error) => fail(`${method} ${path}: ${error.message}`));
    ask.end();
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
