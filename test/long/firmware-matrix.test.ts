import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { GuestHardware } from '../../src/lab/vm-spec.ts';
import { labScenario } from '../lab/harness/lab-under-test.ts';
import { until } from '../lab/harness/processes.ts';

interface Machine {
  readonly hardware: GuestHardware;
  /** Of its role file. */
  readonly loader?: 'native' | 'firmware';
  readonly gets: string;
}

/** Cards, ROMs and both flavours of the loader; docs/firmware-matrix.md has a row for each. */
const bios: readonly Machine[] = [
  { hardware: { nicModel: 'e1000', rom: 'host' }, gets: 'undionly.kpxe' },
  { hardware: { nicModel: 'e1000e', rom: 'host' }, gets: 'undionly.kpxe' },
  { hardware: { nicModel: 'e1000' }, loader: 'native', gets: 'ipxe.pxe' },
  { hardware: { nicModel: 'virtio-net-pci' }, loader: 'native', gets: 'ipxe.pxe' },
];
const uefi: readonly Machine[] = [
  { hardware: { nicModel: 'virtio-net-pci' }, loader: 'firmware', gets: 'snponly.efi' },
  { hardware: { nicModel: 'e1000', rom: 'host' }, loader: 'firmware', gets: 'snponly.efi' },
  { hardware: { nicModel: 'e1000', rom: 'host' }, gets: 'ipxe.efi' },
  { hardware: { nicModel: 'e1000e', rom: 'host' }, gets: 'ipxe.efi' },
];

it.each([
  ['bios', bios],
  ['uefi', uefi],
] as const)(
  '%s machines of several cards, ROMs and loaders get kernel and initramfs',
  async (firmware, machines) => {
    const named = machines.map((machine, i) => ({ ...machine, name: `m${i + 1}`, i }));
    await labScenario(
      {
        name: `matrix-${firmware}`,
        only: named.map(({ name }) => name),
        hardware: Object.fromEntries(named.map((m) => [m.name, { firmware, ...m.hardware }])),
        edit: async (site) => {
          for (const { name, i, loader } of named) {
            const lines = [
              `mac: 52:54:00:77:02:0${i}`,
              `address: 10.77.0.15${i}`,
              'role: spare',
              ...(loader ? [`loader: ${loader}`] : []),
            ];
            await writeFile(join(site, 'nodes', `${name}.yaml`), `${lines.join('\n')}\n`);
          }
        },
      },
      async (lab) => {
        const start = Date.now();
        for (const { name, gets, hardware } of named) {
          await until(`${name} has kernel and initramfs`, 240, async () =>
            (await lab.events(name)).some((e) => e.kind === 'blob-sent' && e.what === 'initramfs'),
          ).catch(async (error) => {
            process.stderr.write(await lab.console(name).catch(() => ''));
            throw error;
          });
          const loaders = (await lab.events(name)).flatMap((e) =>
            e.kind === 'loader-sent' ? [e.file.slice(e.file.lastIndexOf('/') + 1)] : [],
          );
          expect(loaders[0], name).toBe(gets);
          const times = JSON.stringify(await lab.stageTimes(name, start));
          process.stderr.write(`lab: ${firmware} ${JSON.stringify(hardware)} ${gets}: ${times}\n`);
        }
      },
    );
  },
);
