import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { AppError } from '../errors.ts';
import { arrangeRecords, type CpioRecord, packCpio, staticFile, symbolicLink } from './cpio.ts';
import {
  initramfsPath,
  type ModuleIndex,
  type ModuleWishes,
  parseModuleLists,
  planModules,
  renderModulesDep,
  selectAliases,
} from './kernel-modules.ts';
import { packMicrocode } from './microcode.ts';
import { listModuleFirmware, type ModuleFile } from './module-firmware.ts';

export interface InitramfsInput {
  /** An unpacked root with a merged /usr, `busybox-static` and the kernel's modules. */
  readonly rootDir: string;
  /** `uname -r` of the kernel. */
  readonly kernelVersion: string;
  /** `src/guest`: the scripts that the initramfs runs. */
  readonly guestDir: string;
}

/** What a server may need between the kernel's start and its mounted root. */
const moduleWishes: ModuleWishes = {
  required: ['loop', 'squashfs', 'overlay', 'af_packet', 'virtio_net', 'virtio_pci'],
  folders: ['kernel/drivers/net/ethernet', 'kernel/drivers/net/phy', 'kernel/drivers/net/mdio'],
  names: [
    'virtio_mmio',
    'vmxnet3',
    'hv_netvsc',
    // Virtual functions of a Hyper-V host come on a PCI bus of their own.
    'pci_hyperv',
    'xen_netfront',
    'bonding',
    '8021q',
  ],
  // Switch chips, not network cards: nobody boots through them, and their firmware is large.
  except: [
    'kernel/drivers/net/ethernet/mellanox/mlxsw',
    'kernel/drivers/net/ethernet/marvell/prestera',
    'kernel/drivers/net/ethernet/mscc',
    'kernel/drivers/net/ethernet/microchip/sparx5',
    'kernel/drivers/net/ethernet/microchip/lan966x',
  ],
};

/** The busybox programs that the guest's scripts call, and those an operator at a console wants. */
const busyboxPrograms: readonly string[] = [
  ...['awk', 'cat', 'chroot', 'grep', 'ip', 'ln', 'mkdir', 'modprobe', 'mount', 'mv', 'readlink'],
  ...['reboot', 'rm', 'sha256sum', 'sh', 'sleep', 'sort', 'stat', 'switch_root', 'tail', 'touch'],
  ...['timeout', 'tr', 'udhcpc', 'umount', 'uname', 'wget'],
  ...['dmesg', 'free', 'ls', 'lsmod', 'ping', 'poweroff', 'ps'],
];

/**
 * The initramfs of a root, zstd-compressed: busybox, the guest's /init, drivers of network cards
 * with their firmware, and what mounts the root; before it microcode, where the root has it. The same input gives the same bytes on every host.
 * Refuses a root without busybox-static, without the kernel's modules, or with a kernel that lacks
 * a required one.
 */
export async function buildInitramfs(input: InitramfsInput): Promise<Uint8Array> {
  const records = [
    ...(await programRecords(input)),
    ...(await driverRecords(input.rootDir, input.kernelVersion)),
  ];
  const microcode = await packMicrocode(join(input.rootDir, 'usr/lib/firmware'));
  return Buffer.concat([microcode, await compress(packCpio(arrangeRecords(records)))]);
}

async function programRecords(input: InitramfsInput): Promise<readonly CpioRecord[]> {
  const script = (name: string) => readFile(join(input.guestDir, name));
  const busybox = await readOrRefuse(join(input.rootDir, 'usr/bin/busybox'), 'busybox-static');
  return [
    staticFile('bin/busybox', busybox, 0o755),
    ...busyboxPrograms.map((name) => symbolicLink(`bin/${name}`, 'busybox')),
    // The kernel itself asks for modules, such as the driver of a PHY, by this path.
    symbolicLink('sbin/modprobe', '../bin/busybox'),
    staticFile('init', await script('init'), 0o755),
    staticFile('bin/dhcp-lease', await script('dhcp-lease'), 0o755),
  ];
}

async function driverRecords(rootDir: string, version: string): Promise<readonly CpioRecord[]> {
  const source = join(rootDir, 'usr/lib/modules', version);
  const lists = await readModuleLists(source);
  const index = parseModuleLists(lists);
  const modules = await readModules(source, index);
  const paths = modules.map(({ path }) => path);
  const target = `lib/modules/${version}`;
  return [
    ...modules.map(({ path, data }) => staticFile(`${target}/${path}`, data)),
    staticFile(`${target}/modules.dep`, renderModulesDep(index, paths)),
    staticFile(`${target}/modules.alias`, selectAliases(index, paths)),
    staticFile(`${target}/modules.builtin`, lists.builtin),
    ...(await firmwareRecords(rootDir, modules)),
  ];
}

async function readModuleLists(source: string) {
  const list = async (name: string) =>
    (await readOrRefuse(join(source, `modules.${name}`), 'linux-image-amd64')).toString('utf8');
  const [dep, builtin, softdep, alias] = await Promise.all([
    list('dep'),
    list('builtin'),
    list('softdep'),
    list('alias'),
  ]);
  return { dep, builtin, softdep, alias };
}

/**
 * The modules as the kernel's package has them. Compressed one by one they make the archive no larger
 * than when all are compressed at once, and a node unpacks only those it loads: 11 MB of memory
 * instead of 53, and a boot that is a second shorter under emulation.
 */
async function readModules(source: string, index: ModuleIndex): Promise<readonly ModuleFile[]> {
  const modules: ModuleFile[] = [];
  for (const path of planModules(index, moduleWishes)) {
    const data = await readFile(join(source, path));
    // busybox modprobe reads gzip and xz, not zstd.
    const readable = path.endsWith('.zst') ? await promisify(zstdDecompress)(data) : data;
    modules.push({ path: initramfsPath(path), data: readable });
  }
  return modules;
}

/**
 * The firmware files that the modules name and the root has: none, where the image's list of packages
 * names no firmware package.
 */
async function firmwareRecords(
  rootDir: string,
  modules: readonly ModuleFile[],
): Promise<readonly CpioRecord[]> {
  const firmwareDir = join(rootDir, 'usr/lib/firmware');
  if (!(await hasEntries(firmwareDir))) return [];
  const found: CpioRecord[] = [];
  for (const name of await listModuleFirmware(modules)) {
    // The kernel takes the plain file, or else one of the compressed ones.
    for (const file of [name, `${name}.xz`, `${name}.zst`]) {
      const data = await readIfThere(join(firmwareDir, file));
      if (data) found.push(staticFile(`lib/firmware/${file}`, data));
    }
  }
  return found;
}

async function hasEntries(folder: string): Promise<boolean> {
  const entries = await readdir(folder).catch(whereMissing([]));
  return entries.length > 0;
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  return readFile(path).catch(whereMissing(undefined));
}

function whereMissing<T>(value: T): (error: unknown) => T {
  return (error) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return value;
    throw error;
  };
}

async function readOrRefuse(path: string, debianPackage: string): Promise<Buffer> {
  return readFile(path).catch((cause: unknown) => {
    throw new AppError(
      'initramfs-source',
      `the initramfs needs ${path}, which cannot be read`,
      `the image needs the package ${debianPackage}`,
      { cause },
    );
  });
}

/**
 * Node brings its own zstd, so that the bytes do not depend on the build host's. Most of the archive is
 * compressed already: level 19 would take one percent off it for twenty times the time.
 */
async function compress(archive: Uint8Array): Promise<Uint8Array> {
  return promisify(zstdCompress)(archive, {
    params: { [constants.ZSTD_c_compressionLevel]: 12, [constants.ZSTD_c_checksumFlag]: 1 },
  });
}
