import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ProbeRow } from '../../src/probe/judge-offers.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { type Segment, startSegment } from './harness/segment.ts';

const main = join(import.meta.dirname, '../../src/main.ts');
let folder: string;
let segment: Segment;
const running = new Map<ChildProcess, { text: string }>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rc-probe-'));
  segment = await startSegment({
    server: '10.77.0.1/24',
    foreign: '10.77.0.9/24',
    prober: '10.77.0.50/24',
  });
});
afterEach(async () => {
  for (const child of running.keys()) await end(child);
});
afterAll(async () => {
  await segment?.stop();
  rmSync(folder, { recursive: true });
});

async function start(host: string, program: string, args: readonly string[], sign: string) {
  const [command, words] = segment.on(host, program, args);
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { text: '' };
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text: Buffer) => {
      said.text += text.toString();
    });
  }
  running.set(child, said);
  const patience = Date.now() + 20_000;
  while (!said.text.includes(sign)) {
    if (Date.now() > patience || child.exitCode !== null) throw new Error(said.text);
    await delay(50);
  }
  return said;
}

async function end(child: ChildProcess): Promise<void> {
  running.delete(child);
  if (child.exitCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

const startRolecall = (dhcp: 'server' | 'proxy') => {
  const program = new URL('harness/boot-server-process.ts', import.meta.url).pathname;
  return start('server', process.execPath, [program, folder, dhcp], 'listening:');
};

const startDnsmasq = (...options: readonly string[]) => {
  const own = ['--keep-in-foreground', '--port=0', '--conf-file=/dev/null', '--log-facility=-'];
  const range = ['--dhcp-range=10.77.0.150,10.77.0.160,120', '--leasefile-ro', '--no-ping'];
  const here = ['--interface=eth0', '--bind-interfaces', '--user=root', '--pid-file='];
  return start('foreign', 'dnsmasq', [...own, ...range, ...here, ...options], 'DHCP, IP range');
};

/** The rows and the exit code of `rolecall --json probe`. */
async function probe(host: string, ...args: readonly string[]) {
  const words = [
    main,
    '--site',
    join(folder, 'site'),
    '--json',
    'probe',
    '--seconds',
    '1',
    ...args,
  ];
  const [program, line] = segment.on(host, process.execPath, words);
  const { stdout, exitCode } = await runProgram(program, line, { accept: [1], timeout: 30_000 });
  return { rows: JSON.parse(stdout) as ProbeRow[], exitCode };
}

const brief = (rows: readonly ProbeRow[]) =>
  rows.map(({ client, step, result, detail }) => `${client} ${step} ${result}: ${detail}`);

const walked = (kind: string, loader: string) => [
  `${kind} acknowledgement ok: 10.77.0.1 acknowledges 10.77.0.200, ${loader}`,
  expect.stringMatching(`^${kind} loader ok: ${loader}: \\d+ bytes, SHA-256 [0-9a-f]{12}`),
];
const bios = 'boot/loader/undionly.kpxe';
const uefi = 'boot/loader/ipxe.efi';
const http = `http://10.77.0.1/${uefi}`;
const script = 'http://10.77.0.1/boot/script?mac=';

const whole = [
  ...['bios', 'uefi', 'uefi-http', 'ipxe', 'loader'].map((kind, i) =>
    expect.stringContaining(
      `${kind} offer ok: 10.77.0.1 offers 10.77.0.200, ${[bios, uefi, http, bios, script][i]}`,
    ),
  ),
  ...walked('bios', bios),
  ...walked('uefi', uefi),
  ...walked('uefi-http', http),
  ...walked('ipxe', bios),
  expect.stringContaining(
    `loader acknowledgement ok: 10.77.0.1 acknowledges 10.77.0.200, ${script}`,
  ),
  expect.stringMatching(/^loader script ok: 200, \d+ bytes, 4 files$/),
  expect.stringMatching(/^loader kernel ok: \d+ bytes, SHA-256 as named$/),
  expect.stringMatching(/^loader initramfs ok: \d+ bytes, SHA-256 as named$/),
  expect.stringMatching(/^loader root ok: \d+ bytes, its last one is there$/),
  expect.stringMatching(/^loader overlay ok: \d+ bytes, SHA-256 as named$/),
  expect.stringMatching(
    /^segment address note: 10\.77\.0\.200 was taken for 02:72:.* and given back/,
  ),
];

describe('rolecall probe', () => {
  it('walks the whole boot of every kind of machine, from another host and from the server', async () => {
    const said = await startRolecall('server');
    for (const host of ['prober', 'server']) {
      const { rows, exitCode } = await probe(host);
      const given = brief(rows).map((line) => line.replaceAll('10.77.0.201', '10.77.0.200'));
      expect(given, host).toEqual(whole);
      expect(exitCode).toBe(0);
    }
    // No boot began, and nobody is warned of.
    expect(said.text).not.toMatch(/script:|warning|refused/);
  });

  it('as a relay asks the boot server alone', async () => {
    await startRolecall('server');
    const { rows, exitCode } = await probe('prober', '--relay', 'uefi', 'loader');
    expect(rows.filter(({ result }) => result === 'wrong')).toEqual([]);
    expect(rows.map(({ step }) => step)).toContain('overlay');
    expect(exitCode).toBe(0);
  });

  it('finds a foreign DHCP server and says what to do', async () => {
    await startRolecall('server');
    await startDnsmasq('--dhcp-boot=pxelinux.0');
    const { rows, exitCode } = await probe('prober');
    expect(exitCode).toBe(1);
    const [foreign, ...ours] = rows;
    expect(foreign).toEqual({
      ...{ client: 'segment', step: 'other server', result: 'wrong' },
      detail: expect.stringMatching(
        /^10\.77\.0\.9 \(MAC [0-9a-f:]{17}\) offers 10\.77\.0\.1[56]\d to bios, uefi, uefi-http, ipxe, loader, and pxelinux\.0 of 10\.77\.0\.9 to boot$/,
      ),
      hint: expect.stringMatching(/foreign DHCP server.*Turn it off.*dhcp: proxy/),
    });
    expect(brief(ours)).toEqual(whole);
  });

  it('beside the server that gives the addresses walks what the proxy says', async () => {
    await startRolecall('proxy');
    await startDnsmasq();
    const { rows, exitCode } = await probe('prober', 'bios', 'uefi', 'uefi-http', 'loader');
    expect(rows.filter(({ result }) => result === 'wrong')).toEqual([]);
    expect(exitCode).toBe(0);
    expect(brief(rows)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^segment other server note: 10\.77\.0\.9 .* offers 10\.77\.0\.1/),
        `uefi port 4011 ok: 10.77.0.1 acknowledges ${uefi}`,
        expect.stringMatching(/^uefi loader ok/),
        expect.stringMatching(/^loader overlay ok/),
      ]),
    );
  });

  it('says what a broken store and a server that is not there look like', async () => {
    await startRolecall('server');
    writeFileSync(join(folder, 'part-kernel'), 'other bytes');
    const { rows } = await probe('prober', 'loader');
    const kernel = rows.find(({ step }) => step === 'kernel');
    expect(kernel?.result).toBe('ok');
    for (const child of running.keys()) await end(child);
    const gone = await probe('prober', 'uefi');
    expect(gone.exitCode).toBe(1);
    expect(brief(gone.rows)).toEqual([
      'uefi offer wrong: the boot server 10.77.0.1 made it no offer',
    ]);
  });
});
