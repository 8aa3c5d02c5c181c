import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runProgram } from '../system/run-program.ts';
import type { Cable } from './cable.ts';
import { type MeasuredServer, startMeasured } from './measured-server.ts';

/** Where Debian's kea-admin has the tables of Kea's leases. */
const tables = '/usr/share/kea/scripts/pgsql/dhcpdb_create.pgsql';
const user = 'postgres';

/** Kea as Debian ships it: each lease is a line of a file, which nothing waits for to be on disk. */
export async function startKea(
  cable: Cable,
  program: string,
  pool: string,
): Promise<MeasuredServer> {
  const folder = await mkdtemp(join(tmpdir(), 'rolecall-bench-kea-'));
  const name = join(folder, 'leases.csv');
  const leases = { type: 'memfile', persist: true, name, 'lfc-interval': 0 };
  const server = await start(cable, program, folder, { 'lease-database': leases, pool });
  return { ...server, stop: () => server.stop().finally(() => remove(folder)) };
}

/**
 * Kea with its leases in PostgreSQL, which has each on disk before it says so: as sure of them as this program is.
 * Both run at the server's end. Eight threads and their queue are what Kea's manual advises for PostgreSQL.
 */
export async function startKeaOnPostgres(
  cable: Cable,
  programs: { readonly 'kea-dhcp4': string; readonly postgres: string },
  pool: string,
): Promise<MeasuredServer> {
  const folder = await mkdtemp(join(tmpdir(), 'rolecall-bench-kea-'));
  const stops: (() => Promise<unknown>)[] = [() => remove(folder)];
  const stop = async () => {
    for (const step of stops.toReversed()) await step();
  };
  try {
    const database = await startPostgres(cable, programs.postgres, folder);
    stops.push(database.stop);
    const sql = ['--host', folder, '--username', 'kea', '--dbname', 'postgres', '--quiet'];
    const tool = (name: string) => join(dirname(programs.postgres), name);
    await runProgram(tool('psql'), [...sql, '--set', 'ON_ERROR_STOP=1', '--file', tables]);
    const kea = await start(cable, programs['kea-dhcp4'], folder, {
      'lease-database': { type: 'postgresql', host: folder, user: 'kea', name: 'postgres' },
      'multi-threading': {
        'enable-multi-threading': true,
        'thread-pool-size': 8,
        'packet-queue-size': 88,
      },
      pool,
    });
    stops.push(kea.stop);
    return {
      pid: kea.pid,
      usage: async () => {
        const [a, b] = await Promise.all([kea.usage(), database.usage()]);
        return {
          cpu: a.cpu + b.cpu,
          resident: a.resident + b.resident,
          peakResident: a.peakResident + b.peakResident,
        };
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(
  cable: Cable,
  program: string,
  folder: string,
  { pool, ...settings }: { readonly pool: string; readonly [name: string]: unknown },
): Promise<MeasuredServer> {
  const config = join(folder, 'kea.json');
  const Dhcp4 = {
    'interfaces-config': { interfaces: ['eth0'], 'dhcp-socket-type': 'udp' },
    ...settings,
    'valid-lifetime': 43_200,
    subnet4: [{ id: 1, subnet: '10.77.0.0/16', pools: [{ pool }] }],
    loggers: [{ name: 'kea-dhcp4', severity: 'WARN', output_options: [{ output: 'stdout' }] }],
  };
  await writeFile(config, JSON.stringify({ Dhcp4 }));
  const env = { KEA_PIDFILE_DIR: folder, KEA_LOCKFILE_DIR: 'none' };
  return startMeasured(cable, program, ['-c', config], { env, answers: () => hearsDhcp(cable) });
}

/** A database of its own, with fsync and synchronous_commit as they are by default: on. It refuses to run as root. */
async function startPostgres(
  cable: Cable,
  program: string,
  folder: string,
): Promise<MeasuredServer> {
  const tool = (name: string) => join(dirname(program), name);
  const data = join(folder, 'data');
  const as = ['--reuid', user, '--regid', user, '--init-groups', '--'];
  await runProgram('chown', [user, folder]);
  const made = ['--pgdata', data, '--username', 'kea', '--auth', 'trust', '--no-sync'];
  await runProgram('setpriv', [...as, tool('initdb'), ...made], { cwd: '/' });
  const settings = ['listen_addresses=', `unix_socket_directories=${folder}`];
  const args = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
  const answers = () =>
    runProgram(tool('pg_isready'), ['--quiet', '--host', folder], { timeout: 5000 }).then(
      () => true,
      () => false,
    );
  return startMeasured(cable, 'setpriv', [...as, program, ...args], { answers });
}

/** Whether something listens for DHCP at the server's end. */
export async function hearsDhcp(cable: Cable): Promise<boolean> {
  const { stdout } = await runProgram(...cable.at('server', 'ss', ['-Hlun', 'sport', '=', ':67']));
  return stdout.trim() !== '';
}

function remove(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true });
}
