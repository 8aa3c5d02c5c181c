import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { shippedRolesDir } from '../../../src/roles/load-roles.ts';
import { createNodeRoot, type NodeRoot } from './node-root.ts';

const lib = '/usr/lib/rolecall';
const run = '/run/rolecall-volume/www';

/** The real programs of a volume, and of the kernel what its /proc says. */
let root: string;
let put: NodeRoot['put'];
/** What was started of the programs that stand for those of the node, a line each. */
const started = () =>
  existsSync(join(root, 'log')) ? readFileSync(join(root, 'log'), 'utf8') : '';
/** What the witness was told, and how it answers; undefined lets it say nothing. */
let told: Record<string, unknown>[];
let answer: (() => string) | undefined;
let witness: string;

const drbd = (line: string) =>
  put('/proc/drbd', `version: 8.4.11\n 3: ${line} C r-----\n    ns:0 nr:0\n`);

beforeEach(async () => {
  const node = createNodeRoot();
  ({ path: root, put } = node);
  const shipped = join(shippedRolesDir, 'storage/files', lib);
  for (const program of ['volume', 'volume-state', 'volume-watch']) {
    put(`${lib}/${program}`, readFileSync(join(shipped, program), 'utf8'));
  }
  const recorder = `#!/bin/sh\necho "\${0##*/} $*" >>'${root}/log'\n`;
  put(
    `${lib}/volume-serve`,
    `${recorder}[ "$2" != start ] || : >${run}/serving\n[ "$2" != admit ] || cp /etc/rolecall/volumes/www.clients ${run}/clients\n`,
  );
  for (const program of ['drbdadm', 'sleep', 'cmp', 'cat', 'wget', 'perl', 'rpc.nfsd']) {
    put(`/bin/${program}`, recorder);
  }
  // wget -q -T 2 -O - --header TEXT --post-data TEXT URL
  put('/bin/busybox', `${recorder}exec curl -s -m 2 "$7" "$8" --data "\${10}" "\${11}"\n`);
  node.link('/usr/bin/perl', '/usr/bin/perl');
  node.link('/proc/uptime', '/proc/uptime');
  put('/etc/rolecall/volumes/www.conf', "DEVICE='/dev/x' MINOR='3' PEER='nfs2' VIPS='' FSID='x'\n");
  put('/etc/rolecall/volumes/www.clients', '10.77.0.20\n');

  told = [];
  answer = () => 'lease=no\nwhy=another node leads\nagain=400\n';
  const server = createServer((request, response: ServerResponse) => {
    let text = '';
    request.on('data', (part) => {
      text += part;
    });
    request.on('end', () => {
      expect(request.url).toBe('/volume/b1/www');
      told.push(JSON.parse(text));
      const said = answer?.();
      if (said !== undefined) response.end(said);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  witness = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  put('/run/rolecall/boot', `SERVER=${witness} BOOT=b1\n`);
});

function start(): { child: ChildProcess; ended: Promise<unknown[]> } {
  const child = spawn('sh', [join(root, lib, 'volume'), 'www'], {
    env: { ...process.env, PATH: `${join(root, 'bin')}:${process.env.PATH}` },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  let words = '';
  child.stderr?.on('data', (part) => {
    words += part;
  });
  const ended = once(child, 'exit').then((how) => [...how, words]);
  onTestFinished(async () => {
    try {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    } catch {}
    await ended;
  });
  return { child, ended };
}

const until = (what: () => void, timeout = 8000) => vi.waitFor(what, { timeout, interval: 50 });

it('looks after a copy without starting a program', async () => {
  drbd('cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate');
  start();
  await until(() => expect(started()).toContain('volume-serve www admit'));
  await until(() => expect(told.length).toBeGreaterThan(5));
  const first = told.length;
  const programs = started();
  await until(() => expect(told.length).toBeGreaterThan(first + 3));
  expect(started()).toBe(programs);
  expect(programs).not.toMatch(/^(sleep|cmp|cat|wget)/m);
  expect(told.at(-1)).toMatchObject({
    role: 'Secondary',
    peerRole: 'Primary',
    connection: 'Connected',
    disk: 'UpToDate',
    peerDisk: 'UpToDate',
    done: 100,
    suspended: false,
    serving: false,
    met: true,
    problem: '',
  });
});

it('gives clients up when the lease ends while the witness says nothing', async () => {
  drbd('cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown');
  answer = () => 'lease=yes\nwhy=\n';
  start();
  await until(() => expect(existsSync(join(root, run, 'serving'))).toBe(true));
  await until(() => expect(told.at(-1)).toMatchObject({ serving: true }));
  expect(started()).not.toContain('lapse');
  answer = undefined;
  const uptime = () => Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  await until(() => expect(started()).toContain('volume-serve www lapse'));
  const end = Number(readFileSync(join(root, run, 'until'), 'utf8')) / 100;
  expect(uptime()).toBeGreaterThanOrEqual(end);
  expect(started().match(/ start$/gm)).toHaveLength(1);
});

it('asks again where the witness takes too long', async () => {
  drbd('cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate');
  answer = undefined;
  start();
  await until(() => expect(told.length).toBeGreaterThan(1));
});

it('takes leave of the witness when it is told to end, also while it waits for an answer', async () => {
  drbd('cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate');
  answer = undefined;
  const { child, ended } = start();
  await until(() => expect(told).toHaveLength(1));
  answer = () => 'lease=no\n';
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null, expect.anything()]);
  expect(told.at(-1)).toMatchObject({ release: true });
  expect(started()).toContain('drbdadm down www');
});

it('ends where the process that watches the lease has ended', async () => {
  drbd('cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate');
  put(`${lib}/volume-watch`, '#!/bin/sh\nread -r request\n');
  const { ended } = start();
  expect(await ended).toEqual([1, null, expect.stringContaining('volume-watch has ended')]);
});
