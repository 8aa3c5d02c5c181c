import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LabNetwork } from '../../../src/lab/network.ts';
import { runProgram } from '../../../src/system/run-program.ts';
import { startProgram } from '../../../src/system/start-program.ts';
import { until } from './processes.ts';

/** A host of its own on a bridge of the lab, on which a DHCP server can run. */
export interface OtherHost {
  /** Starts the program there; resolves when something listens on UDP port 67 of its address. */
  serve(program: DhcpProgram): Promise<{ stop(): Promise<void> }>;
  stop(): Promise<void>;
}

/** Who gives addresses there: which to whom. */
export interface DhcpProgram {
  readonly name: 'dnsmasq' | 'kea-dhcp4';
  readonly first: string;
  readonly last: string;
  /** Address by MAC. */
  readonly reserved: Readonly<Record<string, string>>;
}

export const otherAddress = '10.77.0.2';

/** Plugs a host with a network stack of its own into the bridge, at 10.77.0.2. */
export async function startOtherHost(network: LabNetwork, folder: string): Promise<OtherHost> {
  await mkdir(folder, { recursive: true });
  const log = join(folder, 'host.log');
  const holder = await startProgram('unshare', ['--net', 'sleep', 'infinity'], { log });
  const inside = (program: string, args: readonly string[]) =>
    ['nsenter', [`--net=/proc/${holder.pid}/ns/net`, program, ...args]] as const;
  // The process is unshare's first, and in its own namespace when it has become sleep.
  await until('the other host is there', 10, async () =>
    (await readFile(`/proc/${holder.pid}/comm`, 'utf8')).startsWith('sleep'),
  );
  const cable = `link add name other type veth peer name eth0 netns ${holder.pid}`;
  await runProgram(...network.inside('ip', ['-batch', '-']), {
    input: `${cable}\nlink set other master br0 up\n`,
  });
  await runProgram(...inside('ip', ['-batch', '-']), {
    input: `link set lo up\naddress add ${otherAddress}/24 dev eth0\nlink set eth0 up\n`,
  });
  return {
    async serve(wanted) {
      const own = join(folder, wanted.name);
      await mkdir(own, { recursive: true });
      const { args, env } = await prepare[wanted.name](wanted, own);
      const running = await startProgram(...inside(wanted.name, args), {
        log: join(own, 'server.log'),
        env,
      });
      await until(`${wanted.name} listens`, 20, async () => {
        const { stdout } = await runProgram(...inside('ss', ['-Hlun', 'sport = 67']));
        return stdout.trim() !== '';
      });
      return { stop: async () => void (await running.stop()) };
    },
    stop: async () => void (await holder.stop()),
  };
}

interface Start {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const prepare: Record<DhcpProgram['name'], (wanted: DhcpProgram, own: string) => Promise<Start>> = {
  dnsmasq: async ({ first, last, reserved }, own) => ({
    args: [
      ...['--keep-in-foreground', '--conf-file=/dev/null', '--port=0', '--user=root'],
      ...['--interface=eth0', '--bind-interfaces', '--log-dhcp', '--log-facility=-'],
      ...[`--pid-file=${own}/pid`, `--dhcp-leasefile=${own}/leases`, '--dhcp-authoritative'],
      `--dhcp-range=${first},${last},1h`,
      ...Object.entries(reserved).map(([mac, address]) => `--dhcp-host=${mac},${address}`),
    ],
    env: {},
  }),
  'kea-dhcp4': async ({ first, last, reserved }, own) => {
    const config = {
      Dhcp4: {
        'interfaces-config': { interfaces: ['eth0'] },
        'lease-database': { type: 'memfile', name: `${own}/leases.csv` },
        'valid-lifetime': 3600,
        subnet4: [
          {
            id: 1,
            subnet: '10.77.0.0/24',
            pools: [{ pool: `${first} - ${last}` }],
            reservations: Object.entries(reserved).map(([mac, address]) => ({
              'hw-address': mac,
              'ip-address': address,
            })),
          },
        ],
        loggers: [{ name: 'kea-dhcp4', output_options: [{ output: 'stdout' }], severity: 'INFO' }],
      },
    };
    await writeFile(join(own, 'kea.json'), JSON.stringify(config));
    return {
      args: ['-c', join(own, 'kea.json')],
      env: { KEA_LOCKFILE_DIR: own, KEA_PIDFILE_DIR: own },
    };
  },
};
