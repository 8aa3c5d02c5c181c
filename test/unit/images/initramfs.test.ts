import { chmod, cp, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildInitramfs } from '../../../src/images/initramfs.ts';
import { runProgram } from '../../../src/system/run-program.ts';
import { elfModule } from './elf-module.ts';

const kernelVersion = '6.12.1';
const modules = `usr/lib/modules/${kernelVersion}`;
const guestDir = new URL('../../../src/guest', import.meta.url).pathname;
let folder: string;
let rootDir: string;

async function put(path: string, data: string | Uint8Array): Promise<void> {
  await mkdir(dirname(join(rootDir, path)), { recursive: true });
  await writeFile(join(rootDir, path), data);
}

/** Module paths with what they need. */
const tree: Readonly<Record<string, string>> = {
  'kernel/drivers/block/loop.ko.xz': '',
  'kernel/fs/squashfs/squashfs.ko.xz': '',
  'kernel/fs/overlayfs/overlay.ko.xz': '',
  'kernel/drivers/net/virtio_net.ko.xz': 'kernel/net/core/failover.ko.xz',
  'kernel/net/core/failover.ko.xz': '',
  'kernel/drivers/net/ethernet/broadcom/tg3.ko.xz': '',
  'kernel/drivers/gpu/i915.ko.xz': '',
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rolecall-initramfs-'));
  rootDir = join(folder, 'root');
  await put('usr/bin/busybox', 'busybox');
  for (const path of Object.keys(tree)) {
    const firmware = path.includes('tg3') ? ['firmware=tigon/tg3.bin', 'firmware=tigon/a.bin'] : [];
    await put(`${modules}/${path.replace('.xz', '')}`, elfModule(['license=GPL', ...firmware]));
    await runProgram('xz', [join(rootDir, modules, path.replace('.xz', ''))]);
  }
  const dep = Object.entries(tree).map(([path, needs]) => `${path}: ${needs}`.trimEnd());
  await put(`${modules}/modules.dep`, `${dep.join('\n')}\n`);
  await put(
    `${modules}/modules.builtin`,
    'kernel/drivers/virtio/virtio_pci.ko\nkernel/net/packet/af_packet.ko\n',
  );
  await put(`${modules}/modules.softdep`, '');
  await put(`${modules}/modules.alias`, 'alias pci:v000014E4d* tg3\nalias pci:v00008086d* i915\n');
});

afterAll(() => rm(folder, { recursive: true }));

async function list(initramfs: Uint8Array): Promise<readonly string[]> {
  const archive = zstdDecompressSync(initramfs);
  return (await runProgram('cpio', ['-it', '--quiet'], { input: archive })).stdout.split('\n');
}

test('drivers of network cards are in it, others are not', async () => {
  const paths = await list(await buildInitramfs({ rootDir, kernelVersion, guestDir }));
  expect(paths).toEqual(
    expect.arrayContaining(['init', 'bin/sh', 'bin/busybox', 'sbin/modprobe', 'bin/dhcp-lease']),
  );
  expect(paths.filter((path) => path.includes('.ko'))).toEqual([
    `lib/modules/${kernelVersion}/kernel/drivers/block/loop.ko.xz`,
    `lib/modules/${kernelVersion}/kernel/drivers/net/ethernet/broadcom/tg3.ko.xz`,
    `lib/modules/${kernelVersion}/kernel/drivers/net/virtio_net.ko.xz`,
    `lib/modules/${kernelVersion}/kernel/fs/overlayfs/overlay.ko.xz`,
    `lib/modules/${kernelVersion}/kernel/fs/squashfs/squashfs.ko.xz`,
    `lib/modules/${kernelVersion}/kernel/net/core/failover.ko.xz`,
  ]);
});

test('the same files give the same bytes, whatever their times, modes and places', async () => {
  const copy = join(folder, 'copy');
  await cp(rootDir, copy, { recursive: true });
  await utimes(join(copy, 'usr/bin/busybox'), 1, 1);
  await chmod(join(copy, 'usr/bin/busybox'), 0o500);
  const first = await buildInitramfs({ rootDir, kernelVersion, guestDir });
  expect(await buildInitramfs({ rootDir: copy, kernelVersion, guestDir })).toEqual(first);
});

test('firmware that a driver names comes along where the root has it', async () => {
  await put('usr/lib/firmware/tigon/tg3.bin.xz', 'firmware');
  await put('usr/lib/firmware/i915/skl.bin', 'not of a network card');
  const paths = await list(await buildInitramfs({ rootDir, kernelVersion, guestDir }));
  expect(paths.filter((path) => path.startsWith('lib/firmware/'))).toEqual([
    'lib/firmware/tigon',
    'lib/firmware/tigon/tg3.bin.xz',
  ]);
});

test('microcode stands before all else, as it is', async () => {
  const plain = await buildInitramfs({ rootDir, kernelVersion, guestDir });
  await put('usr/lib/firmware/intel-ucode/06-55-04', 'second ');
  await put('usr/lib/firmware/intel-ucode/06-4f-01', 'first ');
  await put('usr/lib/firmware/intel-ucode/06-4f-01.initramfs', 'no ');
  await put('usr/lib/firmware/amd-ucode/microcode_amd_fam19h.bin', 'third ');
  await put('usr/lib/firmware/amd-ucode/microcode_amd_fam19h.bin.asc', 'no ');
  const early = await buildInitramfs({ rootDir, kernelVersion, guestDir });
  const archive = early.subarray(0, early.length - plain.length);
  expect(early.subarray(archive.length)).toEqual(plain);
  const unpacked = join(folder, 'early');
  await mkdir(unpacked);
  await runProgram('cpio', ['--extract', '--quiet'], { cwd: unpacked, input: archive });
  const read = (name: string) => readFile(join(unpacked, 'kernel/x86/microcode', name), 'utf8');
  expect(await read('GenuineIntel.bin')).toBe('first second ');
  expect(await read('AuthenticAMD.bin')).toBe('third ');
  expect(archive.length % 4, 'what follows begins where the kernel looks').toBe(0);
});

test('a root without busybox-static is refused with the name of the package', async () => {
  const bare = join(folder, 'bare');
  await mkdir(bare);
  await expect(buildInitramfs({ rootDir: bare, kernelVersion, guestDir })).rejects.toMatchObject({
    code: 'initramfs-source',
    hint: 'the image needs the package busybox-static',
  });
});
