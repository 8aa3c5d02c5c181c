import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from '../../src/system/run-program.ts';
import { type NetworkPair, startNetworkPair } from './network-pair.ts';

type Line = { readonly kind: string; readonly [key: string]: unknown };

let folder: string;
let network: NetworkPair;
let server: { child: ChildProcess; lines: Line[] };
let script: string;

async function startServer(): Promise<typeof server> {
  const program = new URL('dhcp-server-process.ts', import.meta.url).pathname;
  const [command, args] = network.onServer(process.execPath, [program, join(folder, 'state')]);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: Line[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  await until('the server listens', () => lines.some((line) => line.kind === 'listening'));
  return { child, lines };
}

async function endServer(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const ended = once(server.child, 'exit');
  server.child.kill(signal);
  await ended;
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = Date.now() + 15_000;
  while (!isSo()) {
    if (Date.now() > end) throw new Error(`not within 15 s: ${what}`);
    await delay(20);
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rc-dhcp-'));
  // udhcpc hands what it was told to this script: one line `bound name=value …`, and the address is set.
  script = join(folder, 'told');
  const names =
    'ip subnet router dns hostname domain siaddr sname boot_file tftp bootfile vendor lease';
  writeFileSync(
    script,
    `#!/bin/sh
case $1 in bound|renew) ;; *) exit 0 ;; esac
for name in ${names} opt43 opt175; do eval "value=\\$$name"; echo "$1 $name=$value"; done
ip address replace $ip/$mask dev $interface
`,
  );
  chmodSync(script, 0o755);
  network = await startNetworkPair('10.77.0.1/24');
  // The server's default route leaves by another card: what it broadcasts must not follow it.
  const ip = (...args: readonly string[]) => runProgram(...network.onServer('ip', args));
  await ip('link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'up1');
  await ip('link', 'set', 'up1', 'up');
  await ip('link', 'set', 'up0', 'up');
  await ip('address', 'add', '192.0.2.2/24', 'dev', 'up0');
  await ip('route', 'add', 'default', 'via', '192.0.2.1');
  server = await startServer();
});
afterAll(async () => {
  if (server) await endServer('SIGTERM');
  await network?.stop();
  rmSync(folder, { recursive: true });
});

const asBios = [
  ...['-V', 'PXEClient:Arch:00000:UNDI:002001', '-x', '0x5d:0000'],
  ...['-x', '0x61:00443322116655887799aabbccddeeff00'],
  ...['-O', '43', '-O', 'tftp', '-O', 'bootfile', '-O', '175'],
];
const asUefi = asBios.map((word) =>
  word.replace('00000', '00007').replace('0x5d:0000', '0x5d:0007'),
);

/** What udhcpc was told, by the name it has for it. */
async function udhcpc(mac: string, args: readonly string[] = []) {
  await network.becomeMachine(mac);
  const { stdout } = await runProgram(
    ...network.onClient('busybox', [
      'udhcpc',
      '-f',
      '-q',
      '-n',
      '-t',
      '5',
      '-T',
      '1',
      '-s',
      script,
      ...args,
    ]),
    { timeout: 20_000 },
  );
  const told = stdout.split('\n').flatMap((line) => {
    const found = /^bound (\w+)=(.*)$/.exec(line);
    return found ? [[found[1], found[2]]] : [];
  });
  return Object.fromEntries(told) as Record<string, string>;
}

const web1 = '52:54:00:00:00:21';

describe('BusyBox udhcpc', () => {
  it('posing as a BIOS PXE ROM is told to load our loader', async () => {
    const told = await udhcpc(web1, asBios);
    expect(told).toMatchObject({
      ip: '10.77.0.21',
      subnet: '255.255.255.0',
      router: '10.77.0.254',
      siaddr: '10.77.0.1',
      sname: '10.77.0.1',
      boot_file: 'boot/loader/undionly.kpxe',
      tftp: '10.77.0.1',
      bootfile: 'boot/loader/undionly.kpxe',
      vendor: 'PXEClient',
      opt43: '060108ff',
      lease: '43200',
    });
    const [noPxeDhcp, line] = [told.opt175?.slice(0, 6), told.opt175?.slice(10) ?? ''];
    expect(noPxeDhcp).toBe('b00101');
    expect(Buffer.from(line, 'hex').toString()).toMatch(
      /^set user-class rolecall && set u http:\/\/10\.77\.0\.1\/boot\/script\?mac=52:54:00:00:00:21&/,
    );
  });

  it('posing as UEFI firmware is told to load the EFI loader', async () => {
    const told = await udhcpc(web1, asUefi);
    expect(told).toMatchObject({ ip: '10.77.0.21', boot_file: 'boot/loader/ipxe.efi' });
  });

  it('as an operating system gets the same address and nothing to boot', async () => {
    const told = await udhcpc(web1, ['-x', '0x3d:ff00010203', '-O', 'dns', '-O', 'hostname']);
    expect(told).toMatchObject({
      ip: '10.77.0.21',
      dns: '192.0.2.53',
      hostname: 'web1',
      domain: 'tokyo.example',
      boot_file: '',
      siaddr: '',
      opt43: '',
      opt175: '',
    });
  });

  it('on an unknown machine has one address as firmware, loader and system', async () => {
    const mac = '52:54:00:00:00:99';
    const addresses = [
      (await udhcpc(mac, asBios)).ip,
      (await udhcpc(mac, ['-x', '77:726f6c6563616c6c', '-x', '0x3d:0102030405'])).ip,
      (await udhcpc(mac, ['-C'])).ip,
    ];
    expect(addresses).toEqual(['10.77.0.200', '10.77.0.200', '10.77.0.200']);
  });

  it('renews by unicast and releases', async () => {
    const mac = '52:54:00:00:00:98';
    await network.becomeMachine(mac);
    const before = server.lines.length;
    const fresh = () => server.lines.slice(before).filter((line) => line.machine === mac);
    const acks = () => fresh().filter((line) => line.kind === 'dhcp-acked').length;
    const [command, args] = network.onClient('busybox', ['udhcpc', '-f', '-R', '-s', script]);
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let told = '';
    child.stdout?.on('data', (text: Buffer) => {
      told += text.toString();
    });
    try {
      await until('the lease is bound', () => told.includes('bound lease='));
      expect(acks()).toBe(1);
      child.kill('SIGUSR1');
      await until('the lease is renewed', () => told.includes('renew ip=10.77.0.201'));
      expect(acks()).toBe(2);
    } finally {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    }
    const released = () =>
      server.lines.some(
        (l) => l.kind === 'log' && String(l.line).includes('gave 10.77.0.201 back'),
      );
    await until('the release came', released);
  });

  it('declines an address that answers, and gets another', async () => {
    const intruder = ['10.77.0.202/32', 'dev', 'eth0'];
    await runProgram(...network.onServer('ip', ['address', 'add', ...intruder]));
    try {
      const told = await udhcpc('52:54:00:00:00:97', ['-a', '-A', '1', '-r', '10.77.0.202']);
      expect(told.ip).toMatch(/^10\.77\.0\.20[013]$/);
    } finally {
      await runProgram(...network.onServer('ip', ['address', 'del', ...intruder]));
    }
    expect(server.lines).toContainEqual({
      kind: 'dhcp-problem',
      machine: '52:54:00:00:00:97',
      node: 'spare-525400000097',
      problem: 'address-conflict',
      reason: 'another machine already uses 10.77.0.202; look for it with: arping 10.77.0.202',
    });
  });
});

describe('a lease', () => {
  it.each(['SIGKILL', 'SIGTERM'] as const)('survives %s and a restart', async (signal) => {
    const [mine, theirs] = ['52:54:00:00:00:99', '52:54:00:00:00:96'];
    const { ip } = await udhcpc(mine);
    await endServer(signal);
    server = await startServer();
    // The other machine asks for it by name, and first.
    expect((await udhcpc(theirs, ['-r', ip ?? ''])).ip).not.toBe(ip);
    expect((await udhcpc(mine)).ip).toBe(ip);
  });
});

describe('the npm package dhcp', () => {
  it('reads OFFER and ACK as we mean them', async () => {
    await network.becomeMachine(web1);
    // It sends from an ordinary socket, which needs a route to everyone.
    await runProgram(...network.onClient('ip', ['route', 'replace', 'default', 'dev', 'eth0']));
    const program = new URL('dhcp-npm-client.ts', import.meta.url).pathname;
    const { stdout } = await runProgram(...network.onClient(process.execPath, [program, web1]), {
      timeout: 20_000,
    });
    const [offer, ack, ...more] = stdout.split('\n').map((line) => JSON.parse(line) as object);
    expect(more).toEqual([]);
    for (const [read, type] of [
      [offer, 2],
      [ack, 5],
    ] as const) {
      expect(read).toMatchObject({
        op: 2,
        yiaddr: '10.77.0.21',
        siaddr: '10.77.0.1',
        sname: '10.77.0.1',
        file: 'boot/loader/undionly.kpxe',
        magicCookie: 0x63825363,
        options: {
          1: '255.255.255.0',
          3: ['10.77.0.254'],
          12: 'web1',
          43: [6, 1, 8, 255],
          51: 43_200,
          53: type,
          54: '10.77.0.1',
          60: 'PXEClient',
          66: '10.77.0.1',
          67: 'boot/loader/undionly.kpxe',
        },
      });
    }
  });
});
