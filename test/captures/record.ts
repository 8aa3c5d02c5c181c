/**
 * Records what clients and the boot server say to each other, for the replay: run by hand, as root.
 *
 *     node test/captures/record.ts [NAME…]      all where no name is given
 *
 * Machines boot in the lab, with the image that `npm run lab` or `npm test` has built; programs run in network
 * namespaces. Look at the difference before you commit it: `git diff test/captures`; then write what the server
 * answers now: `vitest run test/captures -u`.
 */
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { labFolder } from '../../src/lab/lab-folder.ts';
import type { GuestHardware } from '../../src/lab/vm-spec.ts';
import { withLab } from '../../src/lab/with-lab.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { prepareDhclient } from '../interop/dhclient.ts';
import { createDhcpSegment, type DhcpSegment } from '../interop/dhcp-segment.ts';
import { createRelayedSubnets } from '../interop/relayed-subnets.ts';
import { runUdhcpc, startUdhcpc } from '../interop/udhcpc.ts';
import { readPcap } from './read-pcap.ts';
import { recordingFile, renderRecording } from './recording.ts';

interface Boot {
  readonly what: string;
  /** Debian packages whose versions say what was recorded. */
  readonly packages: readonly string[];
  readonly guest: 'web1' | 'web2';
  readonly hardware?: GuestHardware;
  /** Lines for the end of site.yaml. */
  readonly site?: string;
}

const boots: Readonly<Record<string, Boot>> = {
  'bios-ipxe-rom': {
    what: 'SeaBIOS, the NIC’s own iPXE ROM, and the loader that it fetches',
    packages: ['qemu-system-x86', 'seabios'],
    guest: 'web1',
  },
  'ovmf-pxe': {
    what: 'OVMF by PXE over IPv4, and the loader that it fetches',
    packages: ['qemu-system-x86', 'ovmf'],
    guest: 'web2',
    hardware: { firmware: 'uefi' },
  },
  'ovmf-http': {
    what: 'OVMF by HTTP Boot alone, and the loader that it fetches',
    packages: ['qemu-system-x86', 'ovmf'],
    guest: 'web2',
    hardware: { firmware: 'uefi', bootBy: 'http' },
  },
  'ovmf-secure-boot': {
    what: 'OVMF that enforces Secure Boot, shim and GRUB',
    packages: ['qemu-system-x86', 'ovmf'],
    guest: 'web2',
    hardware: { secureBoot: true },
    site: 'secureBoot: true',
  },
};

interface Program {
  readonly what: string;
  readonly packages: readonly string[];
  talk(segment: DhcpSegment): Promise<void>;
}

const web1 = '52:54:00:77:00:11';
const stranger = '52:54:00:77:00:99';

const programs: Readonly<Record<string, Program>> = {
  udhcpc: {
    what: 'BusyBox udhcpc: as a ROM, as an operating system, renewing, and giving its address back',
    packages: ['busybox-static'],
    async talk(segment) {
      const server = await segment.startServer();
      const host = await segment.addHost(stranger);
      const rom = ['-V', 'PXEClient:Arch:00000:UNDI:002001', '-x', '0x5d:0000'];
      await runUdhcpc(host, segment.folder, rom);
      const system = await startUdhcpc(host, segment.folder);
      await system.line('a lease', (line) => line.startsWith('bound ip='));
      system.signal('SIGUSR1');
      await system.line('renewal', (line) => line.startsWith('renew ip='));
      await system.stop('SIGTERM');
      await server.said('the release', ({ line }) => /gave .* back/.test(String(line)));
    },
  },
  dhclient: {
    what: 'ISC dhclient: a lease, its renewal, its release, and a reset',
    packages: ['isc-dhcp-client'],
    async talk(segment) {
      const server = await segment.startServer({ leaseSeconds: 60 });
      const host = await segment.addHost(stranger);
      const conf = ['supersede dhcp-renewal-time 2;'];
      const client = await prepareDhclient(host, segment.folder, { conf });
      const first = client.start();
      await first.line('renewal', (line) => line.startsWith('script RENEW'));
      await first.stop('SIGTERM');
      const second = client.start();
      await second.line('the same lease', (line) => line.startsWith('script REBOOT'));
      await second.stop('SIGTERM');
      await client.release();
      await server.said('the release', ({ line }) => /gave .* back/.test(String(line)));
    },
  },
  dhcrelay: {
    what: 'ISC dhcrelay between a BIOS ROM (played by udhcpc) and the server',
    packages: ['isc-dhcp-relay', 'busybox-static'],
    async talk(segment) {
      await segment.startServer();
      const behind = await createRelayedSubnets(segment, ['-a']);
      try {
        const rom = ['-V', 'PXEClient:Arch:00000:UNDI:002001', '-x', '0x5d:0000'];
        await runUdhcpc(await behind.addHost(stranger), segment.folder, rom);
        await runUdhcpc(await behind.addHost(web1), segment.folder, ['-t', '1']).catch(() => {});
      } finally {
        await behind.stop();
      }
    },
  },
};

async function recordBoot(name: string, boot: Boot): Promise<void> {
  await withLab(
    {
      name,
      images: labFolder(join(process.env.ROLECALL_STATE ?? '/var/lib/rolecall', 'lab')).builds,
      site: join(import.meta.dirname, '../lab/sites/webs'),
      only: [boot.guest],
      hardware: { [boot.guest]: boot.hardware ?? {} },
      edit: async (site) => appendFile(join(site, 'site.yaml'), `\n${boot.site ?? ''}\n`),
      report: (line) => process.stderr.write(`${line}\n`),
    },
    async (lab) => {
      const capture = await lab.capture(name, 'udp');
      await lab.waitStage(boot.guest, 'ready', { seconds: 400, retry: false });
      await capture.rows(['frame.number']);
      await write(name, boot, capture.file);
    },
  );
}

async function recordProgram(name: string, program: Program): Promise<void> {
  const segment = await createDhcpSegment();
  try {
    const file = join(segment.folder, 'pcap');
    const tcpdump = segment.server.start('tcpdump', [
      ...['-i', 'switch', '-n', '-U', '--immediate-mode', '-Z', 'root', '-w', file, 'udp'],
    ]);
    await tcpdump.line('it listens', (line) => line.includes('listening on'));
    await program.talk(segment);
    await tcpdump.stop('SIGTERM');
    await write(name, program, file);
  } finally {
    await segment.stop();
  }
}

async function write(name: string, { what, packages }: Boot | Program, pcap: string) {
  const { stdout } = await runProgram('dpkg-query', ['-W', ...packages]);
  const about = [
    what,
    `recorded on ${new Date().toISOString().slice(0, 10)}: ${stdout.trim().replaceAll('\t', ' ').replaceAll('\n', ', ')}`,
    `again: node test/captures/record.ts ${name}`,
  ];
  await writeFile(recordingFile(name), renderRecording({ about, packets: await readPcap(pcap) }));
  process.stdout.write(`${recordingFile(name)}\n`);
}

const all = [...Object.keys(boots), ...Object.keys(programs)];
const asked = process.argv.slice(2);
for (const name of asked.length > 0 ? asked : all) {
  const [boot, program] = [boots[name], programs[name]];
  if (boot) await recordBoot(name, boot);
  else if (program) await recordProgram(name, program);
  else throw new Error(`there is no recording ${name}: ${all.join(', ')}`);
}
