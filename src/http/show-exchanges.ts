import type { Request, RequestHandler, Response } from 'express';
import { grubConfigPath, scriptPath } from '../boot/boot-paths.ts';
import { parseMac } from '../net/mac.ts';
import type { HttpExchange, WirePacket } from '../pxe/wire-packet.ts';

/** Shows each request as it comes and each answer when its connection is done with it; bodies are only counted. */
export function showExchanges(onPacket: (packet: WirePacket) => void): RequestHandler {
  return (request, response, next) => {
    const { method, path } = request;
    const target = request.originalUrl;
    // Afterwards the connection may be closed, and its addresses forgotten.
    const { remoteAddress, remotePort, localAddress, localPort } = request.socket;
    const { mac, preview } = request.query;
    const machine =
      (path === scriptPath || path === grubConfigPath) && preview === undefined
        ? parseMac(String(mac))
        : undefined;
    const show = (direction: 'in' | 'out', head: string, exchange: HttpExchange) =>
      onPacket({
        ...{ at: Date.now(), protocol: 'http', direction, summary: '', exchange },
        ...(machine ? { machine } : {}),
        local: { address: dottedQuad(localAddress), port: localPort ?? 0 },
        remote: { address: dottedQuad(remoteAddress), port: remotePort ?? 0 },
        bytes: Buffer.from(head, 'latin1'),
      });
    // The report's stage is in its body, which comes later.
    const isReport = method === 'POST';
    if (!isReport) show('in', requestHead(request), { method, target });
    response.once('close', () => {
      const length = Number(response.getHeader('Content-Length') ?? 0);
      const sent = Number(response.locals.bodySent ?? 0);
      // A client that has every byte may close before the answer is ended here.
      const whole = response.writableFinished || (sent > 0 && sent === length);
      const bytes = whole ? length : sent;
      const status = response.statusCode;
      const body = method === 'HEAD' ? { bytes: 0 } : { bytes };
      const refused = response.locals.refused as string | undefined;
      const report = isReport ? reportOf(request.body) : undefined;
      const told = {
        method,
        target,
        status,
        whole,
        ...body,
        ...(report ? { report } : {}),
        ...(refused ? { refused } : {}),
      };
      show('out', responseHead(response), told);
    });
    next();
  };
}

function requestHead(request: Request): string {
  const lines: string[] = [`${request.method} ${request.originalUrl} HTTP/${request.httpVersion}`];
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i] ?? '';
    // The token of a boot opens its secrets; it is kept nowhere.
    const value = /^authorization$/i.test(name) ? '(left out)' : request.rawHeaders[i + 1];
    lines.push(`${name}: ${value}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function responseHead(response: Response): string {
  const lines = [`HTTP/1.1 ${response.statusCode} ${response.statusMessage ?? ''}`.trim()];
  for (const [name, value] of Object.entries(response.getHeaders())) {
    lines.push(`${name}: ${String(value)}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function reportOf(body: unknown): HttpExchange['report'] {
  if (typeof body !== 'object' || body === null) return undefined;
  const { stage, reason } = body as { stage?: unknown; reason?: unknown };
  if (typeof stage !== 'string') return undefined;
  return { stage, reason: typeof reason === 'string' ? reason : '' };
}

function dottedQuad(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:/, '');
}
