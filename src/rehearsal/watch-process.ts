import { get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Sample } from './outages.ts';
import { mayAsk, type OpenQuestion, type Pace, restAfter } from './pace.ts';
import type { Target } from './plan-rehearsal.ts';

/**
 * Runs on a client machine of the lab: `node watch-process.ts <targets> <pace>`, both as JSON. Asks every
 * target, each time anew, and prints a line of JSON for every answer, or for none within the pace's patience.
 */
const targets = JSON.parse(process.argv[2] ?? '[]') as readonly Target[];
const pace = JSON.parse(process.argv[3] ?? '{}') as Pace;
const { period, patience, patienceToConnect } = pace;

function ask(target: Target, onTaken: () => void, done: (problem: string) => void): void {
  const { address: host, port } = target;
  const watch = (socket: Socket) => {
    const giveUp = (limit: number) => {
      done(`no answer in ${limit / 1000} s`);
      socket.destroy();
    };
    let timer = setTimeout(giveUp, patienceToConnect, patienceToConnect);
    socket.once('connect', () => {
      clearTimeout(timer);
      timer = setTimeout(giveUp, patience, patience);
      onTaken();
    });
    socket.once('close', () => clearTimeout(timer));
  };
  if (target.ask === 'http') {
    const request = get({ host, port, path: '/', agent: false }, (response) => {
      const { statusCode = 0 } = response;
      response.on('error', (error) => done(error.message)).resume();
      response.on('end', () => done(statusCode < 500 ? '' : `HTTP ${statusCode}`));
    });
    request.on('socket', watch);
    request.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
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
  watch(socket);
  socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  socket.on('end', () => end('closed without a word'));
  if (target.ask === 'connect') socket.once('connect', () => end(''));
  if (target.ask === 'greeting') socket.once('data', () => end(''));
}

const states = targets.map(() => ({ open: new Set<OpenQuestion>(), rested: 0 }));

setInterval(() => {
  for (const [index, target] of targets.entries()) {
    const state = states[index];
    const question: OpenQuestion = { at: Date.now(), isTaken: false };
    if (!state || !mayAsk(state.open, state.rested, pace, question.at)) continue;
    state.open.add(question);
    ask(
      target,
      () => {
        question.isTaken = true;
      },
      (problem) => {
        if (!state.open.delete(question)) return;
        const { at } = question;
        const sample: Sample = { target: index, at, took: Date.now() - at, problem };
        if (problem === '') state.rested = Date.now() + restAfter(sample.took);
        process.stdout.write(`${JSON.stringify(sample)}\n`);
      },
    );
  }
}, period);
