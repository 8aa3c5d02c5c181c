import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Request, Response } from 'express';
import type { ServedFile } from './boot-service.ts';
import { parseRange } from './range.ts';

/** Bigger reads than Node's default of 64 KiB: nearly twice the throughput on one big file. */
const readSize = 1024 * 1024;

export interface SendOptions {
  /** Strong entity tag without quotes; what it names never changes. */
  readonly etag?: string;
  readonly type?: string;
}

/**
 * Sends a file, or the one range of it that was asked for (RFC 9110 §14); answers HEAD, If-None-Match,
 * If-Range. Resolves to the bytes of body handed over and whether that was the whole file.
 */
export async function sendFile(
  request: Request,
  response: Response,
  file: ServedFile,
  options: SendOptions = {},
): Promise<{ readonly bytes: number; readonly complete: boolean }> {
  const none = { bytes: 0, complete: false };
  const etag = options.etag ? `"${options.etag}"` : undefined;
  response.setHeader('Accept-Ranges', 'bytes');
  response.setHeader('Content-Type', options.type ?? 'application/octet-stream');
  if (etag) {
    response.setHeader('ETag', etag);
    response.setHeader('Cache-Control', 'public, max-age=31536000, immutable');
    if (matches(request.headers['if-none-match'], etag)) {
      response.removeHeader('Content-Type');
      response.status(304).end();
      return none;
    }
  }
  const ifRange = request.headers['if-range'];
  const wanted =
    ifRange === undefined || ifRange === etag
      ? parseRange(request.headers.range, file.size)
      : { kind: 'whole' as const };
  if (wanted.kind === 'unsatisfiable') {
    response.setHeader('Content-Range', `bytes */${file.size}`);
    response.removeHeader('Cache-Control');
    response.status(416).type('text/plain').send('the range lies outside the file\n');
    return none;
  }
  const [first, last] = wanted.kind === 'part' ? [wanted.first, wanted.last] : [0, file.size - 1];
  response.status(wanted.kind === 'part' ? 206 : 200);
  if (wanted.kind === 'part') {
    response.setHeader('Content-Range', `bytes ${first}-${last}/${file.size}`);
  }
  if (request.method === 'HEAD' || last < first) {
    response.setHeader('Content-Length', last - first + 1);
    response.end();
    return none;
  }
  // Opened before the headers go out: a file that vanished is still worth a proper answer.
  const handle = await open(file.path);
  response.setHeader('Content-Length', last - first + 1);
  const wantedBytes = last - first + 1;
  const { socket } = request;
  const before = socket.bytesWritten;
  const source = handle.createReadStream({ start: first, end: last, highWaterMark: readSize });
  try {
    await pipeline(source, response, { end: false });
  } catch {
    // The client went away, or the disk failed: only the cut connection can tell.
    response.destroy();
    // A client that has every byte may close before the answer is ended here: it lacks nothing.
    const handedOver = (socket.bytesWritten ?? 0) - before;
    const isWhole = source.bytesRead === file.size && handedOver >= file.size;
    return { bytes: source.bytesRead, complete: isWhole };
  }
  // A file shorter than announced would leave the client waiting for the rest.
  if (source.bytesRead === wantedBytes) response.end();
  else response.destroy();
  return { bytes: source.bytesRead, complete: source.bytesRead === file.size };
}

function matches(header: string | undefined, etag: string): boolean {
  if (!header) return false;
  return header.split(',').some((t) => ['*', etag, `W/${etag}`].includes(t.trim()));
}
