import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type LabNetwork, startNetwork } from '../../src/lab/network.ts';
import { connectThroughRelay, type Forward, startForward } from '../../src/lab/relay.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { type RunningProgram, startProgram } from '../../src/system/start-program.ts';
import { commandLine, networkNamespace, processesIn, until } from './harness/processes.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rc-network-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const plan = {
  bridges: [{ name: 'br0', network: 'boot', prefix: 24, address: '10.77.0.1/24' }],
  taps: [{ name: 'tap0', bridge: 'br0', guest: 'web1', nic: 0 }],
};

describe('the private network', () => {
  let network: LabNetwork;
  let echo: RunningProgram;
  let namesBefore: string;
  const names = async () => (await runProgram('ip', ['netns', 'list'])).stdout;
  beforeAll(async () => {
    namesBefore = await names();
    network = await startNetwork(plan, folder);
    const program = "require('net').createServer((s) => s.pipe(s)).listen(7, '10.77.0.1')";
    echo = await startProgram(...network.inside(process.execPath, ['-e', program]), {
      log: join(folder, 'echo.log'),
    });
    await until('the echo server listens', 20, async () => (await reach(7)) === 'open');
  });
  afterAll(async () => {
    await echo.stop();
    await network.stop();
  });
  const reach = async (port: number, address = '10.77.0.1') => {
    const reached = await connectThroughRelay(network.relaySocket, address, port);
    if (reached.kind === 'open') reached.socket.destroy();
    return reached.kind === 'open' ? 'open' : reached.reason;
  };

  it('has the bridge as asked for, and nothing of the host', async () => {
    const show = await runProgram(...network.inside('ip', ['-j', '-d', 'address', 'show']));
    const links = JSON.parse(show.stdout) as {
      ifname: string;
      address: string;
      master?: string;
      addr_info: { local: string; family: string }[];
      linkinfo?: { info_data?: Record<string, number> };
    }[];
    expect(links.map((l) => l.ifname).sort()).toEqual(['br0', 'lo', 'port0', 'tap0', 'up0']);
    const [bridge, tap] = ['br0', 'tap0'].map((name) => links.find((l) => l.ifname === name));
    expect(bridge?.linkinfo?.info_data).toMatchObject({
      stp_state: 0,
      forward_delay: 0,
      mcast_snooping: 0,
    });
    expect(bridge?.addr_info.find((a) => a.family === 'inet')?.local).toBe('10.77.0.1');
    expect(tap?.master).toBe('br0');
    // Not its lowest port's, which changes with each cable.
    expect(bridge?.address).toBe('02:72:63:00:00:00');
  });

  it('leaves the host without a link, an address or a name of it', async () => {
    const links = (await runProgram('ip', ['-o', 'address'])).stdout;
    expect(links).not.toMatch(/10\.77\.0\.|rc-/);
    expect(await names()).toBe(namesBefore);
  });

  it('tells an open port from a refused one and an address where nobody is', async () => {
    expect(await reach(7)).toBe('open');
    expect(await reach(8)).toBe('ECONNREFUSED');
    expect(await reach(7, '10.77.0.99')).toMatch(/EHOSTUNREACH|ETIMEDOUT/);
  });

  describe('through a port on the loopback', () => {
    let forward: Forward;
    beforeAll(async () => {
      forward = await startForward(0, () =>
        connectThroughRelay(network.relaySocket, '10.77.0.1', 7),
      );
    });
    afterAll(() => forward.stop());

    it('carries every byte there and back, also after the client has ended its half', async () => {
      const sent = Buffer.alloc(3_000_000, 'rolecall ');
      const socket = connect({ port: forward.port, host: '127.0.0.1', allowHalfOpen: true });
      socket.end(sent);
      const chunks: Buffer[] = [];
      for await (const chunk of socket) chunks.push(chunk as Buffer);
      expect(Buffer.concat(chunks).equals(sent)).toBe(true);
    });

    it('takes another port where the wanted one is taken', async () => {
      const second = await startForward(forward.port, () =>
        connectThroughRelay(network.relaySocket, '10.77.0.1', 7),
      );
      expect(second.port).not.toBe(forward.port);
      await second.stop();
    });
  });
});

it('says what is wrong where the folder is too deep for a socket', async () => {
  await expect(startNetwork(plan, join(folder, 'x'.repeat(120)))).rejects.toMatchObject({
    code: 'path-too-long',
  });
});

describe('when the process that keeps the lab is killed with SIGKILL', () => {
  let keeper: ReturnType<typeof spawn> | undefined;
  afterEach(() => {
    keeper?.kill('SIGKILL');
  });

  it('guests, bridge and namespace go with it', async () => {
    const script = new URL('./harness/hold-network.ts', import.meta.url).pathname;
    keeper = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    if (!keeper.stdout) throw new Error('no output');
    const [line] = (await once(createInterface(keeper.stdout), 'line')) as [string];
    const pids = JSON.parse(line) as number[];
    expect(pids).toHaveLength(3);
    const namespace = networkNamespace(pids[0] ?? 0);
    expect(namespace).not.toBe(networkNamespace(process.pid));
    // The guests' processes become QEMU in two steps: setpriv, nsenter.
    const guests = () => processesIn(namespace).filter((l) => l.startsWith('qemu-system-x86_64'));
    await until('both guests are in the namespace', 10, () => guests().length === 2);

    keeper.kill('SIGKILL');
    await until('all processes are gone', 10, () => pids.every((p) => commandLine(p).length === 0));
    await until('nobody is in the namespace', 10, () => processesIn(namespace).length === 0);
    // A namespace without a process lives on only where it was given a name.
    const names = await runProgram('ip', ['netns', 'list']);
    expect(names.stdout).not.toContain(folder);
    // What stays is files; the next lab in this folder starts over them.
    expect(readdirSync(folder)).toContain('relay.sock');
    const again = await startNetwork(plan, folder);
    await again.stop();
  });
});
