import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readBootPackets } from './harness/boot-packets.ts';
import { labScenario } from './harness/lab-under-test.ts';
import { type DhcpProgram, otherAddress, startOtherHost } from './harness/other-dhcp-server.ts';
import { until } from './harness/processes.ts';

const spare = 'spare-525400770099';
const web1Mac = '52:54:00:77:00:11';
const web2Mac = '52:54:00:77:00:12';
const machines = ['web1', 'web2', spare];

/** web1 has its address reserved there, web2 has not. */
const pool = {
  first: '10.77.0.150',
  last: '10.77.0.180',
  reserved: { [web1Mac]: '10.77.0.11' },
} satisfies Omit<DhcpProgram, 'name'>;

/** web1 has a BIOS and an iPXE ROM, web2 UEFI with PXE, the spare UEFI that knows HTTP Boot alone. */
it('beside dnsmasq and Kea, which give the addresses, all firmware boots from here', async () => {
  await labScenario(
    {
      name: 'proxy-dhcp',
      spares: 1,
      uefi: ['web2'],
      hardware: { [spare]: { firmware: 'uefi', bootBy: 'http' } },
      edit: async (site) => {
        const file = join(site, 'site.yaml');
        const text = await readFile(file, 'utf8');
        const proxied = text.replace(/dhcp: server.*/, 'dhcp: proxy').replace(/^ *pool: .*\n/m, '');
        await writeFile(file, proxied);
      },
    },
    async (lab) => {
      const { network, folder } = lab.lab;
      const other = await startOtherHost(network, join(folder.root, 'other'));
      try {
        const dnsmasq = await other.serve({ name: 'dnsmasq', ...pool });
        const capture = await lab.capture('dnsmasq', 'not tcp src port 80');
        await restart();
        const rows = await Promise.all(
          machines.map((name) => lab.waitStage(name, 'ready', { seconds: 300 })),
        );
        expect(rows.map((row) => row.role)).toEqual([['web'], ['web'], ['spare']]);
        // The addresses of the role files, whatever the other server gave; the spare has the other server's.
        expect((await lab.http('web1', '/')).status).toBe(200);
        expect((await lab.ssh('web2', 'ip -4 -o address show')).includes('10.77.0.12/24')).toBe(
          true,
        );
        expect(rows[2]?.address).toMatch(/^10\.77\.0\.1[5-8]\d$/);
        // The row's reason says it too, until a later warning of the boot takes its place.
        expect(await warningsOfAddress('web1')).toEqual([]);
        expect(await warningsOfAddress('web2')).toContainEqual(
          expect.stringMatching(
            /gave 10\.77\.0\.1[5-8]\d to web2; its role file says 10\.77\.0\.12: reserve 10\.77\.0\.12 for 52:54:00:77:00:12 there/,
          ),
        );
        await expectProxied();
        const packets = await readBootPackets(capture);
        process.stderr.write(
          `lab: packets beside dnsmasq: ${JSON.stringify(Object.fromEntries(packets))}\n`,
        );
        expectOneExchange(packets.get(web1Mac), 'undionly.kpxe');
        expectOneExchange(packets.get(web2Mac), 'ipxe.efi');
        await dnsmasq.stop();

        await other.serve({ name: 'kea-dhcp4', ...pool });
        const asked = Date.now();
        await restart();
        for (const name of machines) {
          await until(`${name} fetches its kernel beside Kea`, 240, async () =>
            (await lab.events(name)).some((e) => e.kind === 'blob-sent' && e.at >= asked),
          );
        }
        await expectProxied(asked);
      } finally {
        await other.stop();
      }

      async function warningsOfAddress(name: string) {
        const events = await lab.events(name);
        return events.flatMap((e) => (e.kind === 'address-taken' ? (e.warning ?? []) : []));
      }

      async function restart() {
        for (const { name } of lab.lab.plan.guests) await lab.lab.reboot(name);
      }

      /** Every machine took its address there and was told by us what to load; UEFI PXE asked port 4011. */
      async function expectProxied(since = 0) {
        for (const name of machines) {
          const events = (await lab.events(name)).filter((e) => e.at >= since);
          const taken = events.find((e) => e.kind === 'address-taken');
          expect(taken, name).toMatchObject({ server: otherAddress });
          const ports = events.flatMap((e) => (e.kind === 'proxy-answered' ? [e.port] : []));
          expect(ports, name).toContain('dhcp');
          if (name === 'web2') expect(ports).toContain('boot-server');
          expect(
            events.some((e) => e.kind === 'loader-sent'),
            name,
          ).toBe(true);
          // By the address that its loader has, which need not be that of its role file.
          expect(
            events.some((e) => e.kind === 'blob-sent' && e.what === 'kernel'),
            name,
          ).toBe(true);
          expect(events.some((e) => e.kind === 'dhcp-offered' || e.kind === 'dhcp-acked')).toBe(
            false,
          );
        }
      }
    },
  );
});

/** From the loader on nobody asks DHCP again: the loader has what its firmware was told. */
function expectOneExchange(seen: readonly string[] = [], loader: string): void {
  const first = seen.indexOf(`RRQ ${loader}`);
  const script = seen.indexOf('HTTP /boot/script');
  expect(first, seen.join(', ')).toBeGreaterThan(0);
  expect(script, seen.join(', ')).toBeGreaterThan(first);
  const between = seen.slice(first, script).filter((word) => !word.startsWith('RRQ '));
  // A slow server's answers to a REQUEST that firmware repeated come when they come, and are all that may.
  const before = (word: string) => seen.slice(0, first).filter((other) => other === word).length;
  const late = Math.max(0, Math.min(between.length, before('REQUEST') - before('ACK')));
  expect(between, seen.join(', ')).toEqual(Array<string>(late).fill('ACK'));
}
