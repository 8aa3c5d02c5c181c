import { chmod, cp, mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
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

test('a root without busybox-static is refused with the name of the package', async () => {
  const bare = join(folder, 'bare');
  await mkdir(bare);
  await expect(buildInitramfs({ rootDir: bare, kernelVersion, guestDir })).rejects.toMatchObject({
    code: 'initramfs-source',
    hint: 'the image needs the package busybox-static',
  });
});
