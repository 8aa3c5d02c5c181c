import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { constants, gunzip, zstdCompress, zstdDecompress } from 'node:zlib';
import { AppError } from '../errors.ts';
import { runProgram } from '../system/run-program.ts';
import { arrangeRecords, type CpioRecord, packCpio, staticFile, symbolicLink } from './cpio.ts';
import {
  type ModuleIndex,
  type ModuleWishes,
  parseModuleLists,
  planModules,
  renderModulesDep,
  selectAliases,
} from './kernel-modules.ts';
import { parseModinfo } from './modinfo.ts';

export interface InitramfsInput {
  /** An unpacked root with `busybox-static` and the kernel's modules. */
  readonly rootDir: string;
  /** `uname -r` of the kernel. */
  readonly kernelVersion: string;
  /** `src/guest`: the scripts that the initramfs runs. */
  readonly guestDir: string;
}

/** What a server may need between the kernel's start and its mounted root. */
export const moduleWishes: ModuleWishes = {
  required: ['loop', 'squashfs', 'overlay', 'af_packet', 'virtio_net', 'virtio_pci'],
  folders: ['kernel/drivers/net/ethernet', 'kernel/drivers/net/phy', 'kernel/drivers/net/mdio'],
  names: [
    'virtio_mmio',
    'vmxnet3',
    'hv_vmbus',
    'hv_netvsc',
    'pci_hyperv',
    'xen_netfront',
    'bonding',
    '8021q',
    // bnx2x and others ask for it by the alias crypto-crc32c, which modules.dep does not show.
    'crc32c_generic',
    'crc32c_intel',
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

/** The busybox programs that the guest scripts and the kernel call by name. */
export const busyboxPrograms = [
  'awk',
  'cat',
  'chmod',
  'chroot',
  'cut',
  'dmesg',
  'find',
  'free',
  'grep',
  'head',
  'hexdump',
  'insmod',
  'ip',
  'ls',
  'ln',
  'losetup',
  'lsmod',
  'mkdir',
  'modprobe',
  'mount',
  'mv',
  'ping',
  'poweroff',
  'ps',
  'reboot',
  'rm',
  'sed',
  'sh',
  'sha256sum',
  'sleep',
  'sort',
  'stat',
  'switch_root',
  'tail',
  'tar',
  'tr',
  'udhcpc',
  'umount',
  'uname',
  'wget',
] as const;

/**
 * The initramfs of a root, zstd-compressed: busybox, the guest's /init, drivers of network cards
 * and what mounts the root. The same input gives the same bytes on every host.
 * Refuses a root without busybox-static or with a kernel that lacks a required module.
 */
export async function buildInitramfs(input: InitramfsInput): Promise<Uint8Array> {
  const records = [
    ...(await guestRecords(input)),
    ...(await moduleRecords(input.rootDir, input.kernelVersion)),
  ];
  return compress(packCpio(arrangeRecords(records)));
}

async function guestRecords({ rootDir, guestDir }: InitramfsInput): Promise<readonly CpioRecord[]> {
  return [
    staticFile('bin/busybox', await readBusybox(rootDir), 0o755),
    ...busyboxPrograms.map((name) => symbolicLink(`bin/${name}`, 'busybox')),
    // The kernel asks for modules, such as the driver of a PHY, by this path.
    symbolicLink('sbin/modprobe', '../bin/busybox'),
    staticFile('init', await readFile(join(guestDir, 'init')), 0o755),
    staticFile('bin/dhcp-lease', await readFile(join(guestDir, 'dhcp-lease')), 0o755),
  ];
}

async function readBusybox(rootDir: string): Promise<Uint8Array> {
  return readFile(join(rootDir, 'usr/bin/busybox')).catch((cause: unknown) => {
    throw new AppError(
      'no-busybox',
      'the root has no usr/bin/busybox for the initramfs',
      'add the package busybox-static to the image',
      { cause },
    );
  });
}

async function moduleRecords(rootDir: string, version: string): Promise<readonly CpioRecord[]> {
  // A root with a merged /usr; /lib is a link to it on the node and in the initramfs is not needed.
  const source = join(rootDir, 'usr/lib/modules', version);
  const target = `lib/modules/${version}`;
  const index = await readModuleIndex(source);
  const paths = planModules(index, moduleWishes);
  const modules = await readModules(source, paths);
  const lists = {
    'modules.dep': renderModulesDep(index, paths),
    'modules.alias': selectAliases(index, paths)
      .map((line) => `${line}\n`)
      .join(''),
    'modules.builtin': await readFile(join(source, 'modules.builtin'), 'utf8'),
  };
  return [
    ...modules.map(({ path, data }) => staticFile(`${target}/${path}`, data)),
    ...Object.entries(lists).map(([name, text]) => staticFile(`${target}/${name}`, text)),
    ...(await firmwareRecords(
      rootDir,
      modules.map(({ data }) => data),
    )),
  ];
}

async function readModuleIndex(source: string): Promise<ModuleIndex> {
  const list = (name: string) => readFile(join(source, name), 'utf8');
  const [dep, builtin, softdep, alias] = await Promise.all([
    list('modules.dep'),
    list('modules.builtin'),
    list('modules.softdep'),
    list('modules.alias'),
  ]);
  return parseModuleLists({ dep, builtin, softdep, alias });
}

interface Module {
  /** Relative, ends in `.ko`. */
  readonly path: string;
  readonly data: Uint8Array;
}

/**
 * The modules, uncompressed: the whole archive is compressed once, which makes it smaller than
 * modules compressed one by one, and busybox insmod reads them as they are.
 */
async function readModules(source: string, paths: readonly string[]): Promise<readonly Module[]> {
  const xz = paths.filter((path) => path.endsWith('.xz'));
  const plain = await Promise.all(
    paths
      .filter((path) => !path.endsWith('.xz'))
      .map(async (path) => ({
        path: path.replace(/\.ko\.\w+$/, '.ko'),
        data: await expand(path, await readFile(join(source, path))),
      })),
  );
  return [...plain, ...(await readXzModules(source, xz))];
}

async function expand(path: string, data: Buffer): Promise<Uint8Array> {
  if (path.endsWith('.zst')) return promisify(zstdDecompress)(data);
  if (path.endsWith('.gz')) return promisify(gunzip)(data);
  return data;
}

/** Node has no xz: the program expands copies of all modules in one run. */
async function readXzModules(source: string, paths: readonly string[]): Promise<readonly Module[]> {
  if (paths.length === 0) return [];
  const copies = await mkdtemp(join(tmpdir(), 'rolecall-modules-'));
  try {
    const copied = paths.map((path) => join(copies, path));
    for (const path of paths) {
      await mkdir(dirname(join(copies, path)), { recursive: true });
      await copyFile(join(source, path), join(copies, path));
    }
    await runProgram('xz', ['--decompress', '--threads=0', ...copied]);
    return await Promise.all(
      paths.map(async (path) => {
        const plain = path.replace(/\.xz$/, '');
        return { path: plain, data: await readFile(join(copies, plain)) };
      }),
    );
  } finally {
    await rm(copies, { recursive: true });
  }
}

/**
 * The firmware files that the modules name and the root has. Debian's root has them only where the
 * image's list of packages names a non-free firmware package.
 */
async function firmwareRecords(
  rootDir: string,
  modules: readonly Uint8Array[],
): Promise<readonly CpioRecord[]> {
  const names = new Set(modules.flatMap((module) => parseModinfo(module, 'firmware')));
  const found: CpioRecord[] = [];
  for (const name of [...names].sort()) {
    // The kernel looks for the plain name first, then for the compressed ones.
    for (const file of [name, `${name}.xz`, `${name}.zst`]) {
      const data = await readIfThere(join(rootDir, 'usr/lib/firmware', file));
      if (data) found.push(staticFile(`lib/firmware/${file}`, data));
    }
  }
  return found;
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Node brings its own zstd, so that the bytes do not depend on the build host's. */
async function compress(archive: Uint8Array): Promise<Uint8Array> {
  return promisify(zstdCompress)(archive, {
    params: { [constants.ZSTD_c_compressionLevel]: 19, [constants.ZSTD_c_checksumFlag]: 1 },
  });
}
