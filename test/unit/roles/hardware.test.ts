import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runProgram } from '../../../src/system/run-program.ts';

const script = new URL('../../../roles/base/files/usr/lib/rolecall/hardware.awk', import.meta.url);

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'rolecall-hardware-'));
});
afterEach(() => rm(root, { recursive: true }));

async function put(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), Buffer.from(text, 'latin1'));
  }
}

/** What the report of that machine would hold. */
async function read(awk: string, devices: readonly string[]): Promise<unknown> {
  const [program = '', ...first] = awk.split(' ');
  const { stdout } = await runProgram(
    program,
    [
      ...[...first, '-v', `sys=${root}/sys`, '-v', `proc=${root}/proc`, '-v', 'firmware=uefi'],
      ...['-f', script.pathname, ...devices.map((device) => `${root}/sys/${device}`)],
    ],
    { env: { LC_ALL: 'C' } },
  );
  return JSON.parse(stdout);
}

// Debian's default, which nodes have, and another one.
const awks = ['mawk', 'busybox awk'];

it.each(awks)('tells what a machine is made of, by %s', async (awk) => {
  await put({
    'proc/cpuinfo': `${'processor\t: 0\nmodel name\t: Xeon "E5" \\ 2 @ 3.0: GHz  \nflags\t: processor\n\n'.repeat(3)}`,
    'proc/meminfo': 'MemTotal:       16315560 kB\nMemFree:  1 kB\n',
    'sys/class/dmi/id/sys_vendor': 'Dell\xff Inc.\n',
    'sys/class/dmi/id/product_name': 'PowerEdge\tR640\n',
    'sys/class/dmi/id/product_serial': `${'7'.repeat(300)}\nsecond line\n`,
    'sys/class/dmi/id/product_uuid': '4C4C4544-0042-3010\n',
    'sys/block/nvme0n1/size': '15002931888\n',
    'sys/block/nvme0n1/device/model': 'INTEL & SSD        \n',
    'sys/block/sr0/size': '0\n',
    'sys/class/net/eno1/address': '52:54:00:00:00:99\n',
    'sys/class/net/eno1/bonding_slave/perm_hwaddr': '52:54:00:00:00:01\n',
    'sys/class/net/eno1/device/uevent': 'PCI_CLASS=20000\nDRIVER=ixgbe\nMODALIAS=pci:x\n',
    'sys/class/net/eno2/address': '52:54:00:00:00:02\n',
    'sys/class/net/eno2/device/uevent': 'MODALIAS=pci:y\n',
  });
  const devices = ['block/nvme0n1', 'block/sr0', 'class/net/eno1', 'class/net/eno2'];
  expect(await read(awk, devices)).toEqual({
    ...{ cpu: 'Xeon "E5" \\ 2 @ 3.0: GHz', cpus: 3, memory: 15_933, firmware: 'uefi' },
    disks: [
      { name: 'nvme0n1', bytes: 15_002_931_888 * 512, model: 'INTEL & SSD' },
      { name: 'sr0', bytes: 0, model: '' },
    ],
    nics: [
      { name: 'eno1', mac: '52:54:00:00:00:01', driver: 'ixgbe' },
      { name: 'eno2', mac: '52:54:00:00:00:02', driver: '' },
    ],
    ...{
      serial: '7'.repeat(200),
      uuid: '4c4c4544-0042-3010',
      product: 'Dell  Inc. PowerEdge R640',
    },
  });
});

it.each(awks)('tells of a machine that says nothing of itself, by %s', async (awk) => {
  await put({ 'proc/cpuinfo': 'processor\t: 0\nBogoMIPS\t: 48.00\n' });
  expect(await read(awk, [])).toMatchObject({
    ...{ cpu: '', cpus: 1, disks: [], nics: [], serial: '', uuid: '', product: '' },
  });
});
