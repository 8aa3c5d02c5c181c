import type { VmDisk, VmNic, VmSpec } from './vm-spec.ts';

/** Whether the host's processor runs the guest, or QEMU translates it. */
export type Accelerator = 'kvm' | 'tcg';

/** Files and sockets of one guest, all absolute. */
export interface VmPaths {
  /** QMP, a unix socket. */
  readonly qmp: string;
  /** The serial console, a unix socket. */
  readonly console: string;
  /** What the serial console ever said, appended. */
  readonly consoleLog: string;
  /** Network card ROM of a BIOS guest; QEMU's where absent. */
  readonly rom?: string;
  /** UEFI code, read only; needed by UEFI guests. */
  readonly ovmfCode?: string;
  /** This guest's own copy of the UEFI variables. */
  readonly ovmfVars?: string;
  /** Raw images of the guest's disks, in order. */
  readonly disks: readonly string[];
}

/**
 * QEMU's arguments for a guest that boots over its first card; one tap per card, in order.
 * Nothing here hands it a kernel or a disk to boot from: all it becomes comes over the wire.
 */
export function renderQemuArgs(
  spec: VmSpec,
  paths: VmPaths,
  taps: readonly string[],
  accelerator: Accelerator,
): readonly string[] {
  return [
    ...['-name', spec.name],
    ...['-nodefaults', '-no-user-config'],
    ...['-display', 'none'],
    ...['-machine', machine(spec)],
    ...processor(spec, accelerator),
    ...['-smp', String(spec.cpus)],
    ...['-m', String(spec.memory)],
    ...['-uuid', spec.uuid],
    ...[
      '-smbios',
      `type=1,manufacturer=rolecall,product=lab,serial=${literal(spec.serial)},uuid=${spec.uuid}`,
    ],
    ...firmware(spec, paths),
    ...spec.nics.flatMap((nic, i) => networkCard(spec, nic, i, paths, taps[i] ?? '')),
    ...spec.disks.flatMap((disk, i) => blockDevice(disk, i, paths.disks[i] ?? '')),
    // Without it, a guest's first key generation waits for entropy for many seconds under TCG.
    ...['-device', 'virtio-rng-pci'],
    ...[
      '-chardev',
      `socket,id=console,path=${literal(paths.console)},server=on,wait=off,logfile=${literal(paths.consoleLog)},logappend=on`,
    ],
    ...['-serial', 'chardev:console'],
    ...['-qmp', `unix:${literal(paths.qmp)},server=on,wait=off`],
  ];
}

/** QEMU's option values end at a comma; a doubled one stands for itself. */
function literal(text: string): string {
  return text.replaceAll(',', ',,');
}

function machine(spec: VmSpec): string {
  if (spec.processor === 'arm64') return 'virt';
  // Without graphics SeaBIOS says on the serial console what it and the network card's ROM do.
  // No SATA controller either: what disks there are hang on virtio.
  // Secure Boot's variables are safe from the kernel only behind system management mode.
  return `q35,graphics=off,sata=off,smbus=off${spec.secureBoot ? ',smm=on' : ''}`;
}

function processor(spec: VmSpec, accelerator: Accelerator): readonly string[] {
  if (spec.processor === 'arm64') {
    return ['-accel', 'tcg,thread=multi,tb-size=256', '-cpu', 'cortex-a57'];
  }
  return accelerator === 'kvm'
    ? ['-accel', 'kvm', '-cpu', 'host']
    : // The default translation buffer is 1 GiB for each guest; a quarter costs no measurable time.
      // `max` has features that are dear to translate; qemu64 boots a Debian kernel 2.5 s faster,
      // but OVMF with system management mode came up under `max` alone. Without cmpxchg16b: TCG before QEMU 8.0 leaves
      // wrong flags behind it, which an interrupt then saves; now and then a guest died of a double fault.
      [
        '-accel',
        'tcg,thread=multi,tb-size=256',
        '-cpu',
        `${spec.secureBoot ? 'max' : 'qemu64'},-cx16`,
      ];
}

function firmware(spec: VmSpec, paths: VmPaths): readonly string[] {
  if (spec.firmware === 'bios') {
    // SeaBIOS stops for good when the network gave it nothing; a server in a rack tries again.
    return ['-boot', 'order=n,reboot-timeout=3000'];
  }
  return [
    ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${literal(paths.ovmfCode ?? '')}`],
    ...['-drive', `if=pflash,unit=1,format=raw,file=${literal(paths.ovmfVars ?? '')}`],
    ...(spec.secureBoot ? ['-global', 'driver=cfi.pflash01,property=secure,value=on'] : []),
    ...(spec.bootBy === 'http' ? withoutPxe.flatMap((word) => ['-fw_cfg', word]) : []),
  ];
}

/** Switches of OVMF's setup, so to speak: without PXE there is HTTP Boot alone. */
export const withoutPxe: readonly string[] = [4, 6].map(
  (version) => `name=opt/org.tianocore/IPv${version}PXESupport,string=n`,
);

function networkCard(
  spec: VmSpec,
  nic: VmNic,
  index: number,
  paths: VmPaths,
  tap: string,
): readonly string[] {
  const device = [spec.nicModel, `netdev=net${index}`, `mac=${nic.mac}`];
  // Newer iPXE ROMs carry the PCI id of virtio 1.0 (1af4:1041) only, and SeaBIOS compares it.
  // Older ones know 1af4:1000 alone, and QEMU comes with ROMs of its own age.
  if (spec.nicModel === 'virtio-net-pci' && spec.rom === 'image') device.push('disable-legacy=on');
  if (index === 0 && spec.firmware === 'uefi') device.push('bootindex=1');
  // A card without a ROM leaves UEFI to its own network stack, as most servers' firmware has one;
  // of QEMU's cards it drives virtio-net alone, the others bring their driver in the host's ROM.
  const isBare = spec.firmware === 'uefi' && spec.rom === 'image';
  if (isBare || index > 0) device.push('romfile=');
  else if (paths.rom !== undefined) device.push(`romfile=${literal(paths.rom)}`);
  return [
    ...['-netdev', `tap,id=net${index},ifname=${tap},script=no,downscript=no`],
    ...['-device', device.join(',')],
  ];
}

function blockDevice(disk: VmDisk, index: number, file: string): readonly string[] {
  return [
    '-drive',
    // What the guest has written is in the host's page cache and outlives a killed QEMU, flushed or not.
    `if=none,id=disk${index},format=raw,cache=unsafe,discard=unmap,file=${literal(file)}`,
    ...['-device', `virtio-blk-pci,drive=disk${index},serial=${literal(disk.serial)}`],
  ];
}
