import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { imagePath } from '../boot/boot-paths.ts';
import { AppError } from '../errors.ts';
import { runProgram } from '../system/run-program.ts';
import { benchNetwork, writeBenchSite } from './bench-site.ts';
import type { Benchmark } from './benchmark.ts';
import { type Cable, layCable } from './cable.ts';
import { compare, type Figure, round } from './figure.ts';
import { type MeasuredServer, startMeasured, startRolecall } from './measured-server.ts';
import { median } from './median.ts';
import { needPeers } from './need-peers.ts';

const rootMebibytes = 300;
const rootBytes = rootMebibytes * 1024 * 1024;
const clientProgram = join(import.meta.dirname, 'discarding-client.pl');

/** Clients at once, and how often each case is measured; the median counts. */
const cases = [
  { clients: 1, rounds: 9 },
  { clients: 20, rounds: 5 },
] as const;

export const http: Benchmark = {
  name: 'http',
  about: `one root of ${rootMebibytes} MiB over HTTP to 1 and to 20 clients, beside nginx`,
  async run(report) {
    const programs = await needPeers('ip', 'perl', 'nginx');
    const folder = await mkdtemp(join(tmpdir(), 'rolecall-bench-'));
    const servers: MeasuredServer[] = [];
    let cable: Cable | undefined;
    try {
      // nginx reads the blob as another user.
      await chmod(folder, 0o755);
      report('writing a site and an image');
      const site = await writeBenchSite(folder, { nodes: 1, rootBytes });
      cable = await layCable({
        server: `${benchNetwork.server}/${benchNetwork.prefix}`,
        client: `${benchNetwork.client}/${benchNetwork.prefix}`,
      });
      const ours = await startRolecall(cable, site);
      servers.push(ours);
      const path = imagePath(site.root.digest);
      const nginx = await startNginx(cable, programs.nginx, folder, path, site.root.path);
      servers.push(nginx);
      // Both send from the page cache: one look at the file brings it there.
      await readFile(site.root.path);

      const figures: Figure[] = [];
      for (const { clients, rounds } of cases) {
        const runs = { ours: [] as Run[], nginx: [] as Run[] };
        // By turns, so that what else the machine does meets both.
        for (let n = 0; n < rounds; n += 1) {
          runs.ours.push(await fetchAll(cable, ours, 80, path, clients));
          runs.nginx.push(await fetchAll(cable, nginx, nginxPort, path, clients));
        }
        const [mine, theirs] = [summarize(runs.ours), summarize(runs.nginx)];
        const what = `HTTP, ${rootMebibytes} MiB to ${clients === 1 ? '1 client' : `${clients} clients`}`;
        report(`${what}: ${mine.speed} MiB/s, nginx ${theirs.speed} MiB/s`);
        figures.push(
          compare(
            {
              what,
              ours: mine.speed,
              peer: theirs.speed,
              peerName: 'nginx (sendfile)',
              unit: 'MiB/s',
              bound: `processor of the server: ${describe(mine)}; nginx ${describe(theirs)}; the client took ${Math.round(mine.clientShare * 100)} % of one`,
            },
            'more',
          ),
        );
      }
      return figures;
    } finally {
      for (const server of servers) await server.stop();
      await cable?.cut();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

const nginxPort = 8080;

async function startNginx(
  cable: Cable,
  program: string,
  folder: string,
  path: string,
  file: string,
): Promise<MeasuredServer> {
  const config = join(folder, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (what) => `${what}_temp_path ${folder}/nginx-${what};`,
  );
  // What Debian ships, without the log of accesses, which we do not write to a disk either.
  await writeFile(
    config,
    [
      `daemon off; user root; worker_processes auto; pid ${folder}/nginx.pid;`,
      `error_log ${folder}/nginx.log;`,
      'events { worker_connections 768; }',
      `http { sendfile on; tcp_nopush on; access_log off; ${temporary.join(' ')}`,
      `  server { listen ${benchNetwork.server}:${nginxPort};`,
      `    location = ${path} { alias ${file}; default_type application/octet-stream; } } }`,
      '',
    ].join('\n'),
  );
  const args = ['-c', config, '-e', join(folder, 'nginx.log')];
  const answers = async () => {
    const [ip, words] = cable.at('client', 'perl', [
      ...[clientProgram, benchNetwork.server, String(nginxPort), '/', '1'],
    ]);
    const { stdout } = await runProgram(ip, words, { timeout: 10_000 });
    return !stdout.includes('failed');
  };
  return startMeasured(cable, program, args, { answers });
}

interface Run {
  /** MiB a second, all clients together. */
  readonly speed: number;
  /** Processors' worth that server and client took. */
  readonly serverShare: number;
  readonly clientShare: number;
  /** Seconds of processor for each GiB that the server sent. */
  readonly cpuPerGibibyte: number;
}

async function fetchAll(
  cable: Cable,
  server: MeasuredServer,
  port: number,
  path: string,
  clients: number,
): Promise<Run> {
  const before = await server.usage();
  const [ip, words] = cable.at('client', 'perl', [
    ...[clientProgram, benchNetwork.server, String(port), path, String(clients)],
  ]);
  const { stdout } = await runProgram(ip, words, { timeout: 120_000 });
  const after = await server.usage();
  const [times = '', ...ends] = stdout.split('\n');
  const [seconds = 0, clientCpu = 0] = times.split(' ').map(Number);
  const wrong = ends.filter((end) => end !== `200 ${rootBytes}`);
  if (wrong.length > 0 || ends.length !== clients) {
    throw new AppError('bench-failed', `${wrong.length} of ${clients} clients got: ${wrong[0]}`);
  }
  const cpu = after.cpu - before.cpu;
  return {
    speed: (clients * rootMebibytes) / seconds,
    serverShare: cpu / seconds,
    clientShare: clientCpu / seconds,
    cpuPerGibibyte: cpu / ((clients * rootMebibytes) / 1024),
  };
}

function summarize(runs: readonly Run[]): Run {
  const of = (pick: (run: Run) => number) => round(median(runs.map(pick)));
  return {
    speed: of((r) => r.speed),
    serverShare: of((r) => r.serverShare),
    clientShare: of((r) => r.clientShare),
    cpuPerGibibyte: of((r) => r.cpuPerGibibyte),
  };
}

function describe({ serverShare, cpuPerGibibyte }: Run): string {
  return `${cpuPerGibibyte.toFixed(2)} s for each GiB, ${Math.round(serverShare * 100)} % of one`;
}
