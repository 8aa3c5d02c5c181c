/**
 * Asks a page ten times a second, each time by a connection of its own, and twice a second by one connection
 * that it keeps. Appends one line of JSON for every answer to a file; ends when it is told to.
 * Arguments: the URL, the file.
 */
import { appendFileSync } from 'node:fs';
import { Agent, get } from 'node:http';

const [url = '', file = ''] = process.argv.slice(2);

function ask(agent: Agent | false, patience: number): void {
  const at = Date.now();
  let port = 0;
  let said = false;
  const say = (page: string) => {
    if (said) return;
    said = true;
    const answer = { at, took: Date.now() - at, kept: agent !== false, port, page };
    appendFileSync(file, `${JSON.stringify(answer)}\n`);
  };
  const request = get(url, { agent, signal: AbortSignal.timeout(patience) }, (response) => {
    port = response.socket.localPort ?? 0;
    let body = '';
    response.on('data', (chunk) => {
      body += chunk;
    });
    response.on('end', () => say(/<h1>(.*?)<\/h1>/.exec(body)?.[1] ?? ''));
    response.on('error', () => say(''));
  });
  request.on('error', () => say(''));
}

const kept = new Agent({ keepAlive: true, maxSockets: 1 });
// The patience of a person; what is sent again after a second or three still arrives.
setInterval(() => ask(false, 5000), 100);
// It waits for what is sent again, as a login or a database session would.
setInterval(() => ask(kept, 30_000), 500);
