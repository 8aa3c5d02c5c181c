import type { Response } from 'express';
import type { AdminService, Change } from './admin-service.ts';

/** Milliseconds; shorter than any proxy's patience with a silent connection. */
const heartbeat = 15_000;

/** Bytes that a reader may leave unread before it is cut; it reconnects by itself and looks anew. */
const patience = 1024 * 1024;

/** Sends every change to this client as server-sent events until it goes away. */
export function streamChanges(service: AdminService, response: Response): void {
  response.status(200).type('text/event-stream');
  response.setHeader('X-Accel-Buffering', 'no');
  response.flushHeaders();
  // A browser that lost the server tries again after this many milliseconds.
  response.write('retry: 2000\n\n');
  const send = (text: string) => {
    // A server that stops ends its streams, and machines go on booting meanwhile.
    if (response.writableEnded) return;
    if (response.writableLength > patience) response.destroy();
    else response.write(text);
  };
  const unsubscribe = service.subscribe((change) => send(renderChange(change)));
  const timer = setInterval(() => send(': still here\n\n'), heartbeat);
  response.on('close', () => {
    clearInterval(timer);
    unsubscribe();
  });
}

function renderChange(change: Change): string {
  const data = change.kind === 'event' ? change.event : {};
  return `event: ${change.kind}\ndata: ${JSON.stringify(data)}\n\n`;
}
