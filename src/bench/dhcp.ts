import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { runProgram } from '../system/run-program.ts';
import { benchNetwork, writeBenchSite } from './bench-site.ts';
import type { Benchmark } from './benchmark.ts';
import { type Cable, layCable } from './cable.ts';
import { compare, type Figure, round } from './figure.ts';
import { hearsDhcp, startKea, startKeaOnPostgres } from './kea.ts';
import { type MeasuredServer, startMeasured, startRolecall } from './measured-server.ts';
import { needPeers } from './need-peers.ts';
import { socketDrops } from './socket-drops.ts';

/** Exchanges a second that perfdhcp begins; each is tried for `seconds`, until too many are dropped. */
const rates = [250, 1000, 4000, 8000, 16_000, 32_000] as const;
/** Between the last rate that was borne and the first that was not: how often the middle is tried. */
const halvings = 3;
const seconds = 5;
/** Servers that are near each other take turns, since the machine's speed drifts; the middle one counts. */
const rounds = 3;
/** Machines; each takes its address anew again and again. */
const machines = 10_000;
const pool = '10.77.64.1 - 10.77.127.254';
/** A share of exchanges that a rack notices no more than a lost packet. */
const mayDrop = 0.02;

export const dhcp: Benchmark = {
  name: 'dhcp',
  about:
    'DHCP exchanges of four messages a second, beside Kea (leases in a file, in PostgreSQL) and dnsmasq',
  async run(report) {
    const programs = await needPeers('ip', 'perfdhcp', 'kea-dhcp4', 'postgres', 'dnsmasq');
    const folder = await mkdtemp(join(tmpdir(), 'rolecall-bench-'));
    // A file system in memory: a write that is on disk at once, as if nobody waited for it.
    const memory = await mkdtemp('/dev/shm/rolecall-bench-');
    try {
      report('writing a site and an image');
      const site = await writeBenchSite(folder, { nodes: 1, rootBytes: 1024 * 1024 });
      const inMemory = await writeBenchSite(memory, { nodes: 1, rootBytes: 1024 * 1024 });
      const measure = (name: string, start: Start) =>
        onOwnCable(programs.perfdhcp, start, (line) => report(`${name}: ${line}`));
      const runs: Record<'ours' | 'loose' | 'kea', Run[]> = { ours: [], loose: [], kea: [] };
      for (let round = 1; round <= rounds; round += 1) {
        const turn = (name: string, start: Start) => measure(`${round}/${rounds} ${name}`, start);
        runs.ours.push(await turn('rolecall', (cable) => startRolecall(cable, site)));
        runs.kea.push(await turn('Kea', (cable) => startKea(cable, programs['kea-dhcp4'], pool)));
        runs.loose.push(
          await turn('rolecall, state in memory', (cable) => startRolecall(cable, inMemory)),
        );
      }
      // Many times slower than the others: one run tells as much as three.
      const durable = await measure('Kea on PostgreSQL', (cable) =>
        startKeaOnPostgres(cable, programs, pool),
      );
      const dnsmasq = await measure('dnsmasq', (cable) =>
        startDnsmasq(cable, programs.dnsmasq, folder),
      );
      const kea = 'Kea 2.2 (memfile, persist, no fsync)';
      return [
        figure('leases on disk before the ACK', runs.ours, [durable], 'Kea 2.2 (PostgreSQL)'),
        figure('leases on disk before the ACK', runs.ours, runs.kea, kea),
        figure('leases on disk before the ACK', runs.ours, [dnsmasq], 'dnsmasq (no ping)'),
        figure('leases in memory', runs.loose, runs.kea, kea),
      ];
    } finally {
      await rm(folder, { recursive: true, force: true });
      await rm(memory, { recursive: true, force: true });
    }
  },
};

type Start = (cable: Cable) => Promise<MeasuredServer>;

/** The best of a server's runs that dropped next to nothing, or the best there is. */
interface Run {
  /** Exchanges a second that came to their end. */
  readonly rate: number;
  /** Share of those begun. */
  readonly drops: number;
  /** Answers for which perfdhcp's socket had no room, and questions for which the server's had none. */
  readonly unread: number;
  readonly unheard: number;
  /** Processors' worth that the server took, and for each exchange microseconds of one. */
  readonly share: number;
  readonly cost: number;
}

async function onOwnCable(
  perfdhcp: string,
  start: Start,
  report: (line: string) => void,
): Promise<Run> {
  const cable = await layCable({
    server: `${benchNetwork.server}/${benchNetwork.prefix}`,
    client: `${benchNetwork.client}/${benchNetwork.prefix}`,
    // perfdhcp waits for answers by asking without a pause: beside the server it would take half of its processor.
    apart: true,
  });
  try {
    const server = await start(cable);
    try {
      const runs: Run[] = [];
      const isBorne = async (rate: number) => {
        const run = await exchange(cable, perfdhcp, server, rate);
        report(`${rate} begun a second: ${round(run.rate)} done, ${lost(run)}, ${processor(run)}`);
        runs.push(run);
        return run.drops <= mayDrop;
      };
      // What else the machine does for a moment is not the server's.
      const isBorneInTwo = async (rate: number) => (await isBorne(rate)) || (await isBorne(rate));
      let [borne, notBorne] = [0, 0];
      for (const rate of rates) {
        if (await isBorneInTwo(rate)) borne = rate;
        else notBorne = rate;
        if (notBorne > 0) break;
      }
      for (let n = 0; n < halvings && notBorne > 0; n += 1) {
        const middle = Math.round((borne + notBorne) / 2);
        if (await isBorneInTwo(middle)) borne = middle;
        else notBorne = middle;
      }
      const clean = runs.filter((run) => run.drops <= mayDrop);
      return (clean.length > 0 ? clean : runs).reduce((a, b) => (b.rate > a.rate ? b : a));
    } finally {
      await server.stop();
    }
  } finally {
    await cable.cut();
  }
}

async function exchange(
  cable: Cable,
  perfdhcp: string,
  server: MeasuredServer,
  rate: number,
): Promise<Run> {
  const before = await server.usage();
  const unread = await socketDrops(cable, 'client');
  const unheard = await socketDrops(cable, 'server');
  const [ip, words] = cable.at('client', perfdhcp, [
    ...['-4', '-r', String(rate), '-R', String(machines), '-p', String(seconds)],
    // Of two threads on one processor the one that sends keeps the other from emptying their socket.
    ...['-g', 'single', '-W', '500000', '-l', 'eth0', benchNetwork.server],
  ]);
  // It ends with 3 where exchanges were dropped.
  const { stdout } = await runProgram(ip, words, { timeout: 60_000, accept: [3] });
  const after = await server.usage();
  const [offers = 0, acks = 0] = [...stdout.matchAll(/^received packets: (\d+)/gm)].map((found) =>
    Number(found[1]),
  );
  const begun = Number(/^sent packets: (\d+)/m.exec(stdout)?.[1] ?? 0);
  if (begun === 0) throw new AppError('bench-failed', `perfdhcp says:\n${stdout.slice(-2000)}`);
  // What it left unsaid of offers is in the exchanges that did not end.
  const done = Math.min(offers, acks);
  const cpu = after.cpu - before.cpu;
  return {
    rate: done / seconds,
    drops: 1 - done / begun,
    unread: (await socketDrops(cable, 'client')) - unread,
    unheard: (await socketDrops(cable, 'server')) - unheard,
    share: cpu / seconds,
    cost: (cpu * 1e6) / done,
  };
}

async function startDnsmasq(
  cable: Cable,
  program: string,
  folder: string,
): Promise<MeasuredServer> {
  const args = [
    ...['--keep-in-foreground', '--port=0', '--conf-file=/dev/null', '--user=root', '--no-ping'],
    ...['--interface=eth0', '--dhcp-range=10.77.64.1,10.77.127.254,255.255.0.0,12h'],
    ...[`--dhcp-leasefile=${folder}/dnsmasq.leases`, '--dhcp-lease-max=20000', '--quiet-dhcp'],
    ...['--dhcp-authoritative', `--pid-file=${folder}/dnsmasq.pid`],
  ];
  return startMeasured(cable, program, args, { answers: () => hearsDhcp(cable) });
}

function figure(
  what: string,
  ours: readonly Run[],
  peer: readonly Run[],
  peerName: string,
): Figure {
  const describe = (runs: readonly Run[]) => {
    const middle = middleOf(runs);
    const rates = runs.length > 1 ? `${runs.map(({ rate }) => round(rate)).join(', ')} /s: ` : '';
    return `${rates}${processor(middle)}, ${lost(middle)}`;
  };
  const [middle, peers] = [middleOf(ours), middleOf(peer)];
  const cause = middle.share >= 0.85 ? 'one event loop' : 'waits: the disk, perfdhcp beside it';
  return compare(
    {
      what: `DHCP exchanges, ${what}`,
      ours: round(middle.rate),
      peer: round(peers.rate),
      peerName,
      unit: '/s',
      bound: `${cause}: ours ${describe(ours)}; peer ${describe(peer)}`,
    },
    'more',
  );
}

/** The run of which as many did better as did worse. */
function middleOf(runs: readonly Run[]): Run {
  const sorted = [...runs].sort((a, b) => a.rate - b.rate);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (!middle) throw new AppError('bench-failed', 'nothing was measured');
  return middle;
}

/** perfdhcp plays ten thousand machines with the socket of one. */
function lost({ drops, unread, unheard }: Run): string {
  const where = [
    ...(unread > 0 ? [`${unread} answers at perfdhcp's socket`] : []),
    ...(unheard > 0 ? [`${unheard} questions at the server's`] : []),
  ];
  return `${round(100 * drops)} % dropped${where.length > 0 ? ` (${where.join(', ')})` : ''}`;
}

function processor({ share, cost }: Run): string {
  return `${Math.round(100 * share)} % of a processor (${Math.round(cost)} µs for each exchange)`;
}
