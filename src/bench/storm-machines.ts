import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import {
  type ClientKind,
  discoverMessage,
  readServerAnswer,
  requestMessage,
  type ServerAnswer,
} from '../probe/simulated-client.ts';
import { benchMac } from './bench-site.ts';
import { fetchByTftp } from './tftp-fetch.ts';

/** What the process that plays the machines is told, as JSON in its first argument. */
export interface StormOrder {
  readonly machines: number;
  /** Milliseconds within which all of them are switched on. */
  readonly within: number;
  /** A server that only gives addresses and loaders is asked no further. */
  readonly until: 'loader' | 'script';
}

export type StormStage = 'dhcp' | 'tftp' | 'loader dhcp' | 'script';

/** What it prints, as JSON. */
export interface StormOutcome {
  /** Milliseconds that each machine took, those that failed left out. */
  readonly stages: Readonly<Partial<Record<StormStage, readonly number[]>>>;
  /** From the switch to the script, or to the loader. */
  readonly whole: readonly number[];
  /** Why machines failed, and how many for that reason. */
  readonly failures: Readonly<Record<string, number>>;
  /** How many messages machines had to send again. */
  readonly repeated: Readonly<Partial<Record<StormStage, number>>>;
  /** Seconds of processor of the machines' own process. */
  readonly cpu: number;
  readonly seconds: number;
}

/** Seconds that firmware waits for an answer (PXE 2.1 §2.2.3), and iPXE; each a second more or less (RFC 2131 §4.1). */
const firmwareWaits = [4, 8, 16, 32];
const loaderWaits = [1, 2, 4, 8, 10];

const order = JSON.parse(process.argv[2] ?? '') as StormOrder;
const waiting = new Map<string, (answer: ServerAnswer) => void>();
const stages: Partial<Record<StormStage, number[]>> = {};
const repeated: Partial<Record<StormStage, number>> = {};
const failures: Record<string, number> = {};
const whole: number[] = [];

const socket = createSocket({ type: 'udp4', reuseAddr: true, recvBufferSize: 4 * 1024 * 1024 });
socket.bind({ address: '0.0.0.0', port: 68 });
await once(socket, 'listening');
socket.setBroadcast(true);
socket.on('message', (bytes) => {
  const answer = readServerAnswer(bytes);
  if (answer?.mac) waiting.get(answer.mac)?.(answer);
});
/** Reads one command a line: a thousand machines need no thousand programs. */
const addresses = spawn('ip', ['-force', '-batch', '-'], { stdio: ['pipe', 'inherit', 'inherit'] });

const began = performance.now();
await Promise.all(Array.from({ length: order.machines }, (_v, number) => machine(number)));
const seconds = (performance.now() - began) / 1000;
socket.close();
addresses.stdin.end();
const { user, system } = process.cpuUsage();
const outcome: StormOutcome = {
  ...{ stages, whole, failures, repeated, seconds },
  cpu: (user + system) / 1e6,
};
process.stdout.write(`${JSON.stringify(outcome)}\n`);

/** From the switch to the script. */
async function machine(number: number): Promise<void> {
  const mac = benchMac(number) as MacAddress;
  await delay((order.within * number) / order.machines);
  const switchedOn = performance.now();
  try {
    const first = await timed('dhcp', () => takeAddress(mac, 'uefi', 'dhcp', firmwareWaits));
    await becomes(first.address);
    await timed('tftp', () => loader(first));
    if (order.until === 'script') {
      const second = await timed('loader dhcp', () =>
        takeAddress(mac, 'loader', 'loader dhcp', loaderWaits),
      );
      if (second.address !== first.address) throw new Error('the loader got another address');
      await timed('script', () => script(second));
    }
    whole.push(performance.now() - switchedOn);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    failures[reason] = (failures[reason] ?? 0) + 1;
  }
}

async function timed<T>(stage: StormStage, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  try {
    const value = await work();
    const times = stages[stage] ?? [];
    stages[stage] = times;
    times.push(performance.now() - start);
    return value;
  } catch (error) {
    throw new Error(`${stage}: ${error instanceof Error ? error.message : error}`);
  }
}

async function takeAddress(
  mac: MacAddress,
  kind: ClientKind,
  stage: StormStage,
  waits: readonly number[],
): Promise<ServerAnswer> {
  const client = { kind, mac, xid: Math.floor(Math.random() * 2 ** 32) };
  for (const [attempt, wait] of waits.entries()) {
    if (attempt > 0) repeated[stage] = (repeated[stage] ?? 0) + 1;
    const offer = await ask(mac, client.xid, discoverMessage(client), 'offer', wait);
    if (!offer?.serverId) continue;
    const taken = { address: offer.address, serverId: offer.serverId };
    const ack = await ask(mac, client.xid, requestMessage(client, taken), 'ack', wait);
    if (ack) return ack;
  }
  throw new Error('no answer');
}

function ask(
  mac: MacAddress,
  xid: number,
  message: Uint8Array,
  wanted: ServerAnswer['type'],
  wait: number,
): Promise<ServerAnswer | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => end(undefined), (wait + jitter(wait)) * 1000);
    const end = (answer: ServerAnswer | undefined) => {
      clearTimeout(timer);
      waiting.delete(mac);
      resolve(answer);
    };
    waiting.set(mac, (answer) => {
      if (answer.xid === xid && answer.type === wanted) end(answer);
    });
    socket.send(message, 67, '255.255.255.255', () => {});
  });
}

/** A rack that asks again all at once would only drown again. */
function jitter(wait: number): number {
  return Math.min(1, wait / 2) * (2 * Math.random() - 1);
}

/** The machine has its address from here on; no time of the boot server's. */
async function becomes(address: Ipv4): Promise<void> {
  addresses.stdin.write(`address add ${address}/32 dev eth0\n`);
  for (let tries = 0; tries < 500; tries += 1) {
    if (await isOurs(address)) return;
    await delay(20);
  }
  throw new Error('the test could not give a machine its address');
}

function isOurs(address: Ipv4): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createSocket('udp4');
    probe.once('error', () => resolve(false));
    probe.bind({ address, port: 0 }, () => probe.close(() => resolve(true)));
  });
}

async function loader({ address, nextServer, file }: ServerAnswer): Promise<void> {
  const done = await fetchByTftp({
    ...{ from: address, server: nextServer, file },
    // EDK2's.
    ...{ blockSize: 1468, windowSize: 4 },
  });
  repeated.tftp = (repeated.tftp ?? 0) + done.retries;
  if (done.bytes < 100_000) throw new Error(`the loader has ${done.bytes} bytes`);
}

function script({ address, file }: ServerAnswer): Promise<void> {
  // iPXE puts SMBIOS's values there.
  const url = file.replaceAll(/\$\{[^}]*\}/g, '');
  return new Promise((resolve, reject) => {
    const request = get(
      url,
      { localAddress: address, timeout: 20_000, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part) => {
          text += part;
        });
        response.on('end', () => {
          const isBoot = response.statusCode === 200 && /^#!ipxe[\s\S]*\nkernel /.test(text);
          if (isBoot) resolve();
          else reject(new Error(`${response.statusCode}: ${text.slice(0, 200)}`));
        });
      },
    );
    request.on('timeout', () => request.destroy(new Error('no answer within 20 s')));
    request.on('error', reject);
  });
}
