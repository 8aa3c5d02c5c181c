import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';

/** What a mirror does with a file instead of sending it; `late` is all of it, half of it after two seconds. */
export type MirrorFault = 'cut short' | 'other bytes' | 'gone' | 'hung up' | 'stalled' | 'late';

export interface FaultyMirror {
  readonly url: string;
  /** Requests that it got, as paths. */
  readonly asked: readonly string[];
  /** From now on, for every file whose path holds the word. */
  fail(word: string, fault: MirrorFault): void;
  /** From now on all is well. */
  heal(): void;
  stop(): Promise<void>;
}

/** A mirror on this machine that hands on what the real ones have, with faults on demand. */
export async function startFaultyMirror(bases: readonly string[]): Promise<FaultyMirror> {
  const faults = new Map<string, MirrorFault>();
  const asked: string[] = [];
  const server = createServer(async (request, response) => {
    const path = request.url ?? '/';
    asked.push(path);
    const [, fault] = [...faults].find(([word]) => path.includes(word)) ?? [];
    if (fault === 'hung up') return request.socket.destroy();
    try {
      const found = fault === 'gone' ? undefined : await fetchFirst(bases, path);
      if (!found) response.writeHead(404).end();
      else if (fault) sendFaulty(response, Buffer.from(await found.arrayBuffer()), fault);
      else await handOn(response, found);
    } catch {
      // The real mirror did not answer: that is no fault of ours, and no answer either.
      if (response.headersSent) response.destroy();
      else response.writeHead(502).end();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    fail: (word, fault) => faults.set(word, fault),
    heal: () => faults.clear(),
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** As it comes: a client's patience is for a silence. */
async function handOn(response: ServerResponse, found: Response): Promise<void> {
  const length = found.headers.get('content-length');
  response.writeHead(200, length === null ? {} : { 'content-length': length });
  if (found.body) await pipeline(Readable.fromWeb(found.body as ReadableStream), response);
  else response.end();
}

function sendFaulty(response: ServerResponse, bytes: Buffer, fault: MirrorFault): void {
  response.writeHead(200, { 'content-length': bytes.length });
  if (fault === 'other bytes') response.end(Buffer.alloc(bytes.length, 'x'));
  else {
    const half = Math.floor(bytes.length / 2);
    response.write(bytes.subarray(0, half), () => {
      if (fault === 'cut short') response.destroy();
      if (fault === 'late') setTimeout(() => response.end(bytes.subarray(half)), 2000);
    });
  }
}

async function fetchFirst(bases: readonly string[], path: string): Promise<Response | undefined> {
  for (const base of bases) {
    const response = await fetch(`${base}${path}`);
    if (response.ok) return response;
    await response.body?.cancel();
  }
  return undefined;
}
