import { type FileHandle, open } from 'node:fs/promises';
import type { Request, Response } from 'express';
import type { ServedFile } from './boot-service.ts';
import { parseRange } from './range.ts';
import { createSharedReads, type FilePiece, type FileReader } from './shared-reads.ts';

/** One for all listeners and files: its memory is the server's. */
const reads = createSharedReads();

export interface SendOptions {
  /** Strong entity tag without quotes; what it names never changes. */
  readonly etag?: string;
  readonly type?: string;
}

/**
 * Sends a file, or the one range of it that was asked for (RFC 9110 §14); answers HEAD, If-None-Match,
 * If-Range. Resolves to the bytes of body that left and whether that was the whole file; on the way
 * `response.locals.bodySent` has them.
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
  const bytes = await sendOpened(response, handle, first, last);
  // A file shorter than announced would leave the client waiting for the rest, and after a failure of the
  // disk only the cut connection can tell.
  if (bytes === last - first + 1) response.end();
  else response.destroy();
  return { bytes, complete: bytes === file.size };
}

/**
 * Sends the bytes from `first` to `last`; gives back how many of them the kernel took, in whole pieces. A socket's
 * own count includes what still waits for the kernel, and the head.
 */
async function sendOpened(
  response: Response,
  handle: FileHandle,
  first: number,
  last: number,
): Promise<number> {
  let reader: FileReader | undefined;
  let ahead: Promise<FilePiece> | undefined;
  let at = first;
  try {
    reader = await reads.reader(handle);
    ahead = reader.piece(at);
    while (at <= last) {
      const piece: FilePiece = await ahead;
      const begin = at - piece.offset;
      const chunk = piece.bytes.subarray(begin, begin + last + 1 - at);
      // The disk reads the next piece while the network takes this one.
      const next = at + chunk.length;
      ahead = next <= last && chunk.length > 0 ? reader.piece(next) : undefined;
      const isWritten = chunk.length > 0 && (await write(response, chunk));
      piece.release();
      if (!isWritten) break;
      at = next;
      response.locals.bodySent = at - first;
      if (!ahead) break;
    }
  } catch {
    // The disk failed.
  } finally {
    // A read under way needs the open file to its end.
    const unused = await ahead?.catch(() => undefined);
    unused?.release();
    reader?.close();
    await handle.close();
  }
  return at - first;
}

/** Hands bytes to the connection; true when the kernel has all of them, false when the client went away. */
function write(response: Response, bytes: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (isWritten: boolean) => {
      response.off('close', isGone);
      resolve(isWritten);
    };
    const isGone = () => settle(false);
    response.once('close', isGone);
    response.write(bytes, (error) => settle(!error));
  });
}

function matches(header: string | undefined, etag: string): boolean {
  if (!header) return false;
  return header.split(',').some((t) => ['*', etag, `W/${etag}`].includes(t.trim()));
}
