import { get } from 'node:http';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Sample } from './outages.ts';
import type { Target } from './plan-rehearsal.ts';

/**
 * Runs on a client machine of the lab: `node watch-process.ts <targets as JSON>`. Asks every target ten
 * times a second, each time anew, and prints a line of JSON for every answer, or for none within 2 s.
 */
const targets = JSON.parse(process.argv[2] ?? '[]') as readonly Target[];
const period = 100;
const patience = 2_000;

function ask(target: Target, done: (problem: string) => void): void {
  const { address: host, port } = target;
  const late = () => done(`no answer in ${patience / 1000} s`);
  if (target.ask === 'http') {
    const request = get({ host, port, path: '/', agent: false, timeout: patience }, (response) => {
      const { statusCode = 0 } = response;
      response.on('error', (error) => done(error.message)).resume();
      response.on('end', () => done(statusCode < 500 ? '' : `HTTP ${statusCode}`));
    });
    request.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    request.on('timeout', () => {
      late();
      request.destroy();
    });
    return;
  }
  const socket =
    target.ask === 'tls'
      ? // Whose certificate it is does not matter for whether somebody serves.
        connectTls({ host, port, rejectUnauthorized: false }, () => end(''))
      : connect({ host, port });
  const end = (problem: string) => {
    done(problem);
    socket.destroy();
  };
  socket.setTimeout(patience, () => {
    late();
    socket.destroy();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  socket.on('end', () => end('closed without a word'));
  if (target.ask === 'connect') socket.once('connect', () => end(''));
  if (target.ask === 'greeting') socket.once('data', () => end(''));
}

setInterval(() => {
  for (const [index, target] of targets.entries()) {
    const at = Date.now();
    let over = false;
    ask(target, (problem) => {
      if (over) return;
      over = true;
      const sample: Sample = { target: index, at, took: Date.now() - at, problem };
      process.stdout.write(`${JSON.stringify(sample)}\n`);
    });
  }
}, period);
