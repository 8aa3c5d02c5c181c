import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runProgram } from '../../src/system/run-program.ts';

// A server with three cables: one to a client on boot, one to a client on rack2, one to nobody's network.
//
//   client a ── to-a  10.77.0.9, 10.77.0.1 ┐
//   client b ── to-b  10.78.0.1            ├ server
//   client c ── to-c  192.0.2.1            ┘
const server = `rc-m-${process.pid}`;
const clients = ['a', 'b', 'c'] as const;
const nameOf = (client: string) => `rc-m${client}-${process.pid}`;
const ip = (...args: readonly string[]) => runProgram('ip', args);
const inside = (name: string, program: string, args: readonly string[]) =>
  ['ip', ['netns', 'exec', name, program, ...args]] as const;

let child: ChildProcess;
const lines: { kind: string; [key: string]: unknown }[] = [];

beforeAll(async () => {
  await ip('netns', 'add', server);
  await ip('-n', server, 'link', 'set', 'lo', 'up');
  for (const client of clients) {
    await ip('netns', 'add', nameOf(client));
    const peer = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', nameOf(client)];
    await ip('-n', server, 'link', 'add', `to-${client}`, ...peer);
    await ip('-n', server, 'link', 'set', `to-${client}`, 'up');
    await ip('-n', nameOf(client), 'link', 'set', 'lo', 'up');
    await ip('-n', nameOf(client), 'link', 'set', 'eth0', 'up');
    // The client sends from an ordinary socket, which needs an address and a route.
    await ip('-n', nameOf(client), 'address', 'add', '198.51.100.7/24', 'dev', 'eth0');
    await ip('-n', nameOf(client), 'route', 'add', 'default', 'dev', 'eth0');
  }
  // The address of the site is not the first of its interface: a reply left to the kernel would name the other.
  await ip('-n', server, 'address', 'add', '10.77.0.9/24', 'dev', 'to-a');
  await ip('-n', server, 'address', 'add', '10.77.0.1/24', 'dev', 'to-a');
  await ip('-n', server, 'address', 'add', '10.78.0.1/24', 'dev', 'to-b');
  await ip('-n', server, 'address', 'add', '192.0.2.1/24', 'dev', 'to-c');
  await ip('-n', server, 'route', 'add', 'default', 'via', '192.0.2.254');

  const program = new URL('segments-process.ts', import.meta.url).pathname;
  const [command, args] = inside(server, process.execPath, [program]);
  child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.stdout) {
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  }
  const end = Date.now() + 15_000;
  while (!lines.some((line) => line.kind === 'listening')) {
    if (Date.now() > end) throw new Error('the server does not listen');
    await delay(20);
  }
}, 60_000);

afterAll(async () => {
  if (child && child.exitCode === null) {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }
  for (const name of [server, ...clients.map(nameOf)]) {
    await runProgram('ip', ['netns', 'del', name], { accept: [1] });
  }
});

/** Broadcasts a DISCOVER where a MAC is given, and hands back every answer heard on that segment. */
async function hear(client: string, mac: string, milliseconds: number) {
  const program = new URL('broadcasting-client.ts', import.meta.url).pathname;
  const { stdout } = await runProgram(
    ...inside(nameOf(client), process.execPath, [program, mac, String(milliseconds)]),
    { timeout: 20_000 },
  );
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as object);
}

it('has a socket for each interface of a served network and for no other, and one for HTTP at each address', () => {
  const sockets = lines.find((line) => line.kind === 'listening')?.sockets;
  expect(sockets).toEqual(['to-a', 'to-b', 'http-10.77.0.1', 'http-10.78.0.1']);
});

it('answers each segment once, from its own address, and no other segment hears it', async () => {
  // The listener starts first and stays longer.
  const quiet = hear('b', '', 3500);
  await delay(1000);
  expect(await hear('a', '52:54:00:00:01:0a', 1000)).toEqual([
    { from: '10.77.0.1', yiaddr: '10.77.0.200', serverId: '10.77.0.1' },
  ]);
  expect(await quiet).toEqual([]);
  expect(await hear('b', '52:54:00:00:01:0b', 1000)).toEqual([
    { from: '10.78.0.1', yiaddr: '10.78.0.200', serverId: '10.78.0.1' },
  ]);
});

it('does not answer a broadcast that comes by another interface', async () => {
  const before = lines.length;
  expect(await hear('c', '52:54:00:00:01:0c', 1000)).toEqual([]);
  expect(lines.slice(before)).toEqual([]);
});
