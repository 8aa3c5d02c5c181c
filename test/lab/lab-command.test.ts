import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { labFolder } from '../../src/lab/lab-folder.ts';
import type { NodeStatus } from '../../src/state/event.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { images } from './harness/lab-under-test.ts';
import { networkNamespace, processesAbout, processesIn, until } from './harness/processes.ts';

const program = resolve(import.meta.dirname, '../../bin/rolecall');
let state = '';
let up: ChildProcess | undefined;
let said = '';

beforeAll(async () => {
  state = mkdtempSync(join(tmpdir(), 'rc-command-'));
  // A lab folder of its own; where its image is built is shared with all labs.
  await mkdir(images, { recursive: true });
  await mkdir(join(state, 'lab'));
  symlinkSync(images, labFolder(join(state, 'lab')).builds);
});
afterAll(async () => {
  up?.kill('SIGKILL');
  await lab('down');
  await until('nothing of the lab is left', 30, () => processesAbout(state).length === 0);
  rmSync(state, { recursive: true });
});

async function lab(...args: readonly string[]) {
  return runProgram(program, ['--state', state, 'lab', ...args], { accept: [1, 2] });
}

async function rows(): Promise<readonly NodeStatus[]> {
  const { stdout, exitCode } = await lab('status', '--json');
  return exitCode === 0 ? (JSON.parse(stdout) as NodeStatus[]) : [];
}

async function row(node: string): Promise<NodeStatus | undefined> {
  return (await rows()).find(({ name }) => name === node);
}

/** `lab up` with one guest, as a terminal would run it; resolves when the guest is on the wire. */
async function labUp(...options: readonly string[]) {
  said = '';
  const args = ['--state', state, 'lab', 'up', '--only', 'web1', ...options];
  up = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [up.stdout, up.stderr]) {
    stream?.on('data', (bytes: Buffer) => {
      said += bytes.toString('utf8');
    });
  }
  await until('web1 asks for an address', 600, async () => {
    if (up?.exitCode !== null) throw new Error(`lab up ended:\n${said}`);
    return (await rows()).some((row) => row.name === 'web1' && row.stage !== 'absent');
  });
}

function processes() {
  const pids = processesAbout(state);
  const names = pids.map((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
  expect(names).toContain('qemu-system-x86');
  const qemu = pids[names.indexOf('qemu-system-x86')] ?? 0;
  return { pids, namespace: networkNamespace(qemu) };
}

it('ends with the terminal that it was started from, also when that is killed', async () => {
  await labUp();
  const { namespace } = processes();
  up?.kill('SIGKILL');
  await until('all its processes are gone', 60, () => processesAbout(state).length === 0);
  expect(processesIn(namespace)).toEqual([]);
  const status = await lab('status');
  expect(status.exitCode).toBe(1);
  expect(status.stderr).toContain('no lab runs');
  for (const file of ['lab.json', 'control.sock', 'relay.sock']) {
    expect(existsSync(join(state, 'lab', file))).toBe(false);
  }
});

it('leaves no process when its supervisor is killed, and the next one starts over its remains', async () => {
  await labUp();
  const { namespace } = processes();
  const record = JSON.parse(readFileSync(join(state, 'lab/lab.json'), 'utf8')) as {
    supervisor: { pid: number };
  };
  process.kill(record.supervisor.pid, 'SIGKILL');
  await until('lab up has noticed', 30, () => up?.exitCode !== null);
  expect(up?.exitCode).toBe(1);
  await until('all its processes are gone', 30, () => processesAbout(state).length === 0);
  expect(processesIn(namespace)).toEqual([]);
  expect(existsSync(join(state, 'lab/relay.sock'))).toBe(true);

  await labUp();
  const second = await lab('up', '--only', 'web1');
  expect(second.exitCode).toBe(1);
  expect(second.stderr).toContain('a lab is running');
  up?.kill('SIGINT');
  await until('lab up has taken it down', 60, () => up?.exitCode !== null);
  expect(up?.exitCode).toBe(0);
  expect(said).toContain('taking the lab down');
  expect(processesAbout(state)).toEqual([]);
});

it('left running, it can be asked, rebooted, switched off and on, and taken down', async () => {
  await labUp('--detach');
  await until('lab up has left', 400, () => up?.exitCode !== null);
  expect(said).toContain('web1 (BIOS) ready as web');

  const page = /curl (http:\/\/127\.0\.0\.1:\d+\/) +# web1/.exec(said)?.[1] ?? '';
  expect(await (await fetch(page)).text()).toContain('web1');
  const console = /^ +(http:\/\/127\.0\.0\.1:\d+\/)$/m.exec(said)?.[1] ?? '';
  expect(await (await fetch(console)).text()).toContain('web1');

  const web1 = await row('web1');
  expect(web1).toMatchObject({ name: 'web1', role: ['web'], stage: 'ready', reason: '' });
  expect((await lab('console', 'web1')).stdout).toContain('rolecall: web1 boots as web');

  const nobody = await lab('reboot', 'web9');
  expect(nobody.exitCode).toBe(1);
  expect(nobody.stderr).toContain('no guest web9');

  await lab('kill', 'web1');
  expect((await row('web1'))?.reason).toBe('its power is off');
  expect((await lab('reboot', 'web1')).stderr).toContain('web1 is off');
  const before = Date.now();
  await lab('start', 'web1');
  await until('web1 asks for an address again', 60, async () =>
    (await rows()).some((row) => row.stage !== 'ready' && Date.parse(row.since) >= before),
  );
  const again = Date.now();
  await lab('reboot', 'web1');
  await until('web1 asks for an address once more', 60, async () =>
    (await rows()).some((row) => Date.parse(row.since) >= again),
  );

  expect((await lab('down')).stdout).toContain('the lab is down');
  expect(processesAbout(state)).toEqual([]);
  expect((await lab('down')).stdout).toContain('no lab was running');
});
