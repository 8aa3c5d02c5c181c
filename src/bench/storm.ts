import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../system/run-program.ts';
import { type BenchSite, benchNetwork, writeBenchSite } from './bench-site.ts';
import type { Benchmark } from './benchmark.ts';
import { type Cable, layCable } from './cable.ts';
import { alone, compare, type Figure, round } from './figure.ts';
import { type MeasuredServer, startMeasured, startRolecall } from './measured-server.ts';
import { percentile } from './median.ts';
import { needPeers } from './need-peers.ts';
import { socketDrops } from './socket-drops.ts';
import type { StormOrder, StormOutcome, StormStage } from './storm-machines.ts';

const machines = 1000;
/** Half of them have a role file, the others take a lease of the pool. */
const nodes = 500;
/** All of the rack gets power within a second. */
const within = 1000;
const machinesProgram = join(import.meta.dirname, 'storm-machines.ts');
const mebibyte = 1024 * 1024;

export const storm: Benchmark = {
  name: 'storm',
  about: `${machines} machines switched on within ${within / 1000} s: DHCP, TFTP, DHCP of the loader, script`,
  async run(report) {
    const programs = await needPeers('ip', 'dnsmasq');
    const folder = await mkdtemp(join(tmpdir(), 'rolecall-bench-'));
    try {
      report('writing a site and an image');
      const site = await writeBenchSite(folder, { nodes, rootBytes: mebibyte });
      const ours = await onACable((cable) => startRolecall(cable, site), 'script', report);
      report(`rolecall: ${describe(ours)}`);
      const peer = await onACable(
        (cable) => startDnsmasq(cable, programs.dnsmasq, folder, site),
        'loader',
        report,
      );
      report(`dnsmasq: ${describe(peer)}`);
      return figuresOf(ours, peer);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

interface Weathered extends StormOutcome {
  /** Bytes of memory of the server before the storm and at its worst. */
  readonly idle: number;
  readonly peak: number;
  /** Processors' worth that server and machines took. */
  readonly serverShare: number;
  readonly machinesShare: number;
  /** Datagrams that a full receive buffer dropped, at the server's end and at the machines'. */
  readonly dropped: { readonly server: number; readonly client: number };
}

async function onACable(
  start: (cable: Cable) => Promise<MeasuredServer>,
  until: StormOrder['until'],
  report: (line: string) => void,
): Promise<Weathered> {
  const cable = await layCable({
    server: `${benchNetwork.server}/${benchNetwork.prefix}`,
    client: `${benchNetwork.client}/${benchNetwork.prefix}`,
  });
  let server: MeasuredServer | undefined;
  try {
    // Where 255.255.255.255 goes.
    await runProgram(...cable.at('client', 'ip', ['route', 'add', 'default', 'dev', 'eth0']));
    server = await start(cable);
    report('the server is ready');
    return await weather(cable, server, until);
  } finally {
    await server?.stop();
    await cable.cut();
  }
}

async function weather(
  cable: Cable,
  server: MeasuredServer,
  until: StormOrder['until'],
): Promise<Weathered> {
  const before = await server.usage();
  let peak = before.resident;
  const watch = setInterval(async () => {
    const { resident } = await server.usage().catch(() => before);
    peak = Math.max(peak, resident);
  }, 100);
  const order: StormOrder = { machines, within, until };
  const args = ['--disable-warning=ExperimentalWarning', machinesProgram, JSON.stringify(order)];
  const { stdout } = await runProgram(...cable.at('client', process.execPath, args), {
    timeout: 240_000,
  }).finally(() => clearInterval(watch));
  const outcome = JSON.parse(stdout) as StormOutcome;
  const after = await server.usage();
  return {
    ...outcome,
    ...{ idle: before.resident, peak },
    serverShare: (after.cpu - before.cpu) / outcome.seconds,
    machinesShare: outcome.cpu / outcome.seconds,
    dropped: {
      server: await socketDrops(cable, 'server'),
      client: await socketDrops(cable, 'client'),
    },
  };
}

/** Told to take so many at once, which its defaults (50 transfers, 1000 leases) refuse; no ping before an offer. */
async function startDnsmasq(
  cable: Cable,
  program: string,
  folder: string,
  site: BenchSite,
): Promise<MeasuredServer> {
  const root = join(folder, 'tftp');
  await mkdir(root, { mode: 0o755 });
  await cp(site.loader, join(root, 'loader'));
  return startMeasured(
    cable,
    program,
    [
      ...['--keep-in-foreground', '--conf-file=/dev/null', '--port=0', '--user=root'],
      ...['--interface=eth0', '--bind-dynamic', '--log-facility=-', '--pid-file='],
      ...[`--dhcp-leasefile=${folder}/dnsmasq.leases`, '--dhcp-lease-max=5000', '--no-ping'],
      ...['--dhcp-range=10.77.64.1,10.77.127.254,255.255.0.0,12h', '--dhcp-authoritative'],
      ...[`--dhcp-boot=loader,,${benchNetwork.server}`, '--dhcp-no-override'],
      ...[
        '--enable-tftp',
        `--tftp-root=${root}`,
        '--tftp-max=5000',
        '--quiet-dhcp',
        '--quiet-tftp',
      ],
    ],
    { ready: /TFTP root is/ },
  );
}

function figuresOf(ours: Weathered, peer: Weathered): readonly Figure[] {
  const peerName = 'dnsmasq (no ping)';
  const bound = `server ${percent(ours.serverShare)}, machines ${percent(ours.machinesShare)} of a processor; dropped by full buffers: ${ours.dropped.server} at the server, ${ours.dropped.client} at the machines`;
  const stage = (name: StormStage, label: string): Figure[] =>
    [0.5, 0.99].map((share) => {
      const of = (outcome: Weathered) =>
        round(percentile(outcome.stages[name] ?? [], share) / 1000);
      const what = `storm, ${label}, p${share * 100}`;
      return peer.stages[name]
        ? compare({ what, ours: of(ours), peer: of(peer), peerName, unit: 's', bound }, 'less')
        : alone({ what, ours: of(ours), unit: 's', bound });
    });
  const memory = (what: string, of: (outcome: Weathered) => number) =>
    compare(
      {
        what,
        ours: round(of(ours) / mebibyte),
        peer: round(of(peer) / mebibyte),
        peerName,
        unit: 'MiB',
        bound: 'Node itself, and what it has not yet collected',
      },
      'less',
    );
  return [
    compare(
      {
        what: `storm, machines of ${machines} that booted`,
        ours: ours.whole.length,
        peer: peer.whole.length,
        peerName: `${peerName}, only to the loader`,
        unit: 'machines',
        bound: reasons(ours.failures) || 'every machine booted',
      },
      'more',
    ),
    ...stage('dhcp', 'DHCP of the firmware'),
    ...stage('tftp', 'loader of 1 MiB over TFTP, windows of 4'),
    ...stage('loader dhcp', 'DHCP of the loader'),
    ...stage('script', 'script'),
    memory('memory of the server, idle', (o) => o.idle),
    memory('memory of the server, most in the storm', (o) => o.peak),
  ];
}

function describe(outcome: Weathered): string {
  const stages = Object.entries(outcome.stages).map(
    ([name, times]) =>
      `${name} p50 ${(percentile(times, 0.5) / 1000).toFixed(2)} s, p99 ${(percentile(times, 0.99) / 1000).toFixed(2)} s`,
  );
  return [
    `${outcome.whole.length} of ${machines} booted in ${outcome.seconds.toFixed(1)} s`,
    ...stages,
    `sent again ${JSON.stringify(outcome.repeated)}`,
    `dropped ${JSON.stringify(outcome.dropped)}`,
    reasons(outcome.failures) || 'no failure',
  ].join('; ');
}

function reasons(failures: StormOutcome['failures']): string {
  return Object.entries(failures)
    .map(([reason, n]) => `${n} x ${reason}`)
    .join(', ');
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
