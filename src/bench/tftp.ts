import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loaderFolder } from '../boot/boot-paths.ts';
import { AppError } from '../errors.ts';
import { loadersOf } from '../pxe/loader-by-client.ts';
import { runProgram } from '../system/run-program.ts';
import { benchNetwork, writeBenchSite } from './bench-site.ts';
import type { Benchmark } from './benchmark.ts';
import { type Cable, layCable } from './cable.ts';
import { compare, type Figure, round } from './figure.ts';
import { type MeasuredServer, startMeasured, startRolecall } from './measured-server.ts';
import { median } from './median.ts';
import { needPeers } from './need-peers.ts';

const clientProgram = join(import.meta.dirname, 'tftp-clients.pl');
const fileName = `${loaderFolder}/${loadersOf({ secureBoot: false })[0]}`;
const mebibyte = 1024 * 1024;

const clientCounts = [1, 20, 200] as const;
/** Of ours; the peers do not know RFC 7440 and send one block at a time, whatever is asked. */
const windows = [1, 4, 16] as const;
/**
 * How often a case is measured. Where datagrams are lost, luck decides a run of a second, and a peer takes half a
 * minute, in which luck evens out.
 */
const links = [
  { loss: 0, rounds: 5, peerRounds: 5 },
  { loss: 1, rounds: 5, peerRounds: 1 },
] as const;

/** All want port 69: each has an address of its own at the server's end. */
const peerAddresses = { dnsmasq: '10.77.0.3', 'tftpd-hpa': '10.77.0.4' } as const;

export const tftp: Benchmark = {
  name: 'tftp',
  about: `a loader of 1 MiB over TFTP to ${clientCounts.join(', ')} clients, with and without loss, beside dnsmasq and tftpd-hpa`,
  async run(report) {
    const programs = await needPeers('ip', 'nft', 'perl', 'taskset', 'dnsmasq', 'in.tftpd');
    const folder = await mkdtemp(join(tmpdir(), 'rolecall-bench-'));
    const servers: Server[] = [];
    let cable: Cable | undefined;
    try {
      // The peers read the file as another user.
      await chmod(folder, 0o755);
      const root = join(folder, 'tftp');
      await mkdir(join(root, loaderFolder), { recursive: true });
      await writeFile(join(root, fileName), randomBytes(mebibyte), { mode: 0o644 });
      const site = await writeBenchSite(folder, { nodes: 1, rootBytes: mebibyte });
      cable = await layCable({
        server: `${benchNetwork.server}/${benchNetwork.prefix}`,
        client: `${benchNetwork.client}/${benchNetwork.prefix}`,
        apart: true,
      });
      for (const address of Object.values(peerAddresses)) {
        const add = ['-n', cable.server, 'address', 'add', `${address}/${benchNetwork.prefix}`];
        await runProgram('ip', [...add, 'dev', 'eth0']);
      }
      const ours = await startRolecall(cable, site);
      servers.push({ ...ours, name: 'rolecall', address: benchNetwork.server });
      servers.push(await startDnsmasq(cable, programs.dnsmasq, root));
      servers.push(await startTftpd(cable, programs['in.tftpd'], root));

      const figures: Figure[] = [];
      for (const link of links) {
        await lose(cable, link.loss);
        for (const clients of clientCounts) {
          figures.push(...(await compareAll(cable, servers, { clients, ...link }, report)));
        }
      }
      return figures;
    } finally {
      for (const server of servers) await server.stop();
      await cable?.cut();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

interface Server extends MeasuredServer {
  readonly name: string;
  readonly address: string;
}

interface Case {
  readonly clients: number;
  /** Of a hundred datagrams, in each direction. */
  readonly loss: number;
  readonly rounds: number;
  readonly peerRounds: number;
}

interface Run {
  /** MiB a second, all clients together, until the last of them was done; and how many of them got the file. */
  readonly speed: number;
  readonly seconds: number;
  readonly complete: number;
  /** Clients that waited before they repeated a request or the answer to its OACK. */
  readonly late: number;
  /** Until half of the clients had it, those included that never did. */
  readonly secondsToHalf: number;
  /** Processors' worth that server and clients took. */
  readonly serverShare: number;
  readonly clientShare: number;
  /** Milliseconds of processor that the server took for each MiB. */
  readonly cpuPerMebibyte: number;
}

async function compareAll(
  cable: Cable,
  [ours, ...peers]: readonly Server[],
  { clients, loss, rounds, peerRounds }: Case,
  report: (line: string) => void,
): Promise<readonly Figure[]> {
  if (!ours) return [];
  const contenders = [
    ...windows.map((window) => ({ server: ours, window })),
    ...peers.map((server) => ({ server, window: 1 })),
  ].map((contender) => ({ ...contender, runs: [] as Run[] }));
  // By turns, so that what else the machine does meets all.
  for (let n = 0; n < rounds; n += 1) {
    for (const { server, window, runs } of contenders) {
      if (server !== ours && n >= peerRounds) continue;
      runs.push(await fetchAll(cable, server, { clients, window }));
    }
  }
  const results = contenders.map(({ runs, ...about }) => ({
    ...about,
    run: loss > 0 ? summarizeLossy(runs) : summarize(runs),
    held: runs.filter((run) => run.late > 0).length,
  }));
  const who = `1 MiB to ${clients === 1 ? '1 client' : `${clients} clients`}`;
  const where = `${who}${loss > 0 ? `, ${loss} % loss` : ''}`;
  for (const { server, window, run } of results) {
    report(`${where}, windowsize ${window}: ${server.name} ${describe(run, clients)}`);
  }
  const best = results
    .filter(({ server }) => server !== ours)
    .reduce((a, b) => (a.run.speed >= b.run.speed ? a : b));
  const peerName = `${best.server.name} (no RFC 7440: windowsize 1)`;
  return results
    .filter(({ server }) => server === ours)
    .flatMap(({ window, run, held }) => {
      const what = `TFTP, ${where}, windowsize ${window}`;
      const waits = `in ${held} of ${rounds} runs a client waits 3 s for what was lost before its first block, so that no server gives more than ${round(clients / 3)} MiB/s there`;
      const cause = loss > 0 ? waits : boundOf(run);
      const [mine, theirs] = [describe(run, clients), describe(best.run, clients)];
      const bound = `${cause}: ${mine}; peer ${theirs}`;
      const speed = { what, ours: run.speed, peer: best.run.speed, peerName, unit: 'MiB/s', bound };
      // All clients together are as late as the one whose request was lost.
      return loss > 0 && clients > 1
        ? [compare(speed, 'more'), compare(halfDone(speed, run, best.run), 'less')]
        : [compare(speed, 'more')];
    });
}

function halfDone(speed: Omit<Figure, 'ratio'>, ours: Run, peer: Run): Omit<Figure, 'ratio'> {
  return {
    ...speed,
    what: `${speed.what}, half of the clients done`,
    ours: ours.secondsToHalf,
    peer: peer.secondsToHalf,
    unit: 's',
  };
}

/** What a run waits for: whoever has a processor for itself nearly always, else the link. */
function boundOf({ serverShare, clientShare }: Run): string {
  if (Math.max(serverShare, clientShare) < 0.85) return 'round trips and wake-ups';
  return serverShare >= clientShare ? 'processor of the server' : 'processor of the clients';
}

function describe(run: Run, clients: number): string {
  const missing = run.complete < clients ? `, only ${run.complete} got it` : '';
  const share = (part: number) => `${Math.round(part * 100)} %`;
  const cost = `${run.cpuPerMebibyte} ms for each MiB`;
  return `${run.speed} MiB/s, server ${share(run.serverShare)} of a processor (${cost}), clients ${share(run.clientShare)}${missing}`;
}

async function fetchAll(
  cable: Cable,
  server: Server,
  { clients, window }: { readonly clients: number; readonly window: number },
): Promise<Run> {
  const before = await server.usage();
  const [ip, words] = cable.at('client', 'perl', [
    ...[clientProgram, server.address, '69', fileName, String(clients), String(window)],
  ]);
  const { stdout } = await runProgram(ip, words, { timeout: 300_000 });
  const after = await server.usage();
  const [times = '', ...ends] = stdout.split('\n');
  const [seconds = 0, clientCpu = 0, late = 0] = times.split(' ').map(Number);
  const ended = ends.flatMap((line) => {
    const [, at = '', how = ''] = /^(\S+) (.+)$/.exec(line) ?? [];
    return how === '' ? [] : [{ seconds: Number(at), isWhole: how === `ok ${mebibyte}`, how }];
  });
  const complete = ended.filter(({ isWhole }) => isWhole).length;
  // Without its transfers a peer has no speed, and ours may lose none.
  if (complete === 0 || (server.name === 'rolecall' && complete < clients)) {
    const wrong = ended.find(({ isWhole }) => !isWhole)?.how ?? stdout;
    throw new AppError('bench-failed', `${server.name}: a client got: ${wrong}`);
  }
  return {
    speed: complete / seconds,
    seconds,
    complete,
    late,
    secondsToHalf: median(
      ended.map(({ seconds: end, isWhole }) => (isWhole ? end : Number.POSITIVE_INFINITY)),
    ),
    serverShare: Math.max(0, after.cpu - before.cpu) / seconds,
    clientShare: clientCpu / seconds,
    cpuPerMebibyte: (Math.max(0, after.cpu - before.cpu) * 1000) / complete,
  };
}

function summarize(runs: readonly Run[]): Run {
  const of = (pick: (run: Run) => number) => round(median(runs.map(pick)));
  return {
    speed: of((run) => run.speed),
    seconds: of((run) => run.seconds),
    late: of((run) => run.late),
    complete: Math.min(...runs.map((run) => run.complete)),
    secondsToHalf: of((run) => run.secondsToHalf),
    serverShare: of((run) => run.serverShare),
    clientShare: of((run) => run.clientShare),
    cpuPerMebibyte: of((run) => run.cpuPerMebibyte),
  };
}

/** All runs as one: their median would be the luck of whether more than half of them lost no request. */
function summarizeLossy(runs: readonly Run[]): Run {
  const sum = (of: (run: Run) => number) => runs.reduce((total, run) => total + of(run), 0);
  return {
    ...summarize(runs),
    speed: round(sum((run) => run.complete) / sum((run) => run.seconds)),
  };
}

/** From now on so many of a hundred datagrams are lost where they arrive, at both ends. */
async function lose(cable: Cable, percent: number): Promise<void> {
  const rule = percent === 0 ? '' : `meta l4proto udp numgen random mod 100 < ${percent} drop`;
  const rules = `
    table inet loss
    delete table inet loss
    table inet loss {
      chain arriving {
        type filter hook input priority 0
        ${rule}
      }
    }`;
  for (const end of ['server', 'client'] as const) {
    const [ip, words] = cable.at(end, 'nft', ['-f', '-']);
    await runProgram(ip, words, { input: rules });
  }
}

async function startDnsmasq(cable: Cable, program: string, root: string): Promise<Server> {
  const address = peerAddresses.dnsmasq;
  const args = [
    ...['--no-daemon', '--conf-file=/dev/null', '--log-facility=/dev/null', '--user=root'],
    ...['--port=0', '--bind-interfaces', `--listen-address=${address}`],
    ...['--enable-tftp', `--tftp-root=${root}`, '--tftp-max=1000'],
  ];
  const answers = () => isServing(cable, address);
  const server = await startMeasured(cable, program, args, { answers });
  return { ...server, name: 'dnsmasq', address };
}

/** It starts a process for each transfer, whose processor time is lost with it: its share is too low. */
async function startTftpd(cable: Cable, program: string, root: string): Promise<Server> {
  const address = peerAddresses['tftpd-hpa'];
  const args = ['--foreground', '--address', `${address}:69`, '--user', 'root', '--secure', root];
  const answers = () => isServing(cable, address);
  const server = await startMeasured(cable, program, args, { answers });
  return { ...server, name: 'tftpd-hpa', address };
}

async function isServing(cable: Cable, address: string): Promise<boolean> {
  const args = [clientProgram, address, '69', fileName, '1', '1'];
  const [ip, words] = cable.at('client', 'perl', args);
  const { stdout } = await runProgram(ip, words, { timeout: 60_000, accept: [1, 111] });
  return stdout.includes(`ok ${mebibyte}`);
}
