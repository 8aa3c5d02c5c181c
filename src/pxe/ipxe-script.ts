import { imagePath, scriptPath } from '../boot/boot-paths.ts';
import type { BootSet } from '../boot/boot-set.ts';
import { type BootInstance, bootArguments } from '../boot/kernel-args.ts';
import type { MacAddress } from '../net/mac.ts';

/** URL of a machine's boot script; iPXE itself puts in the UUID and the serial number. */
export function scriptUrl(server: string, mac: MacAddress, runs = 'amd64'): string {
  // For most machines nothing: the smallest reply of DHCP has no room for it.
  const arch = runs === 'amd64' ? '' : `&arch=${runs}`;
  return `${server}${scriptPath}?mac=${mac}&uuid=\${uuid}&serial=\${serial:uristring}${arch}`;
}

/** The iPXE script that boots one node's boot set. */
export function renderBootScript(set: BootSet, boot: BootInstance): string {
  return [
    '#!ipxe',
    `echo rolecall: ${set.node} boots as ${set.roles.join(', ')} (boot set ${set.digest.slice(0, 12)})`,
    // Three tries each: a burst of booting machines may fill a switch's buffers.
    ...retried(
      `kernel --name vmlinuz ${boot.server}${imagePath(set.kernel.digest)} ${commandLine(set, boot)}`,
      'kernel',
    ),
    ...retried(`initrd --name initrd ${boot.server}${imagePath(set.initramfs.digest)}`, 'initrd'),
    'boot || goto failed',
    ':failed',
    `echo rolecall: ${set.node} could not boot; the machine restarts in 30 s`,
    'sleep 30',
    'reboot',
    '',
  ].join('\n');
}

function commandLine(set: BootSet, boot: BootInstance): string {
  // UEFI kernels take the initrd by its name from iPXE's virtual file system.
  return ['initrd=initrd', ...bootArguments(set, boot)].join(' ');
}

function retried(command: string, label: string): string[] {
  const loop = [1, 2].map((n) => `${command} && goto ${label}-done ||\nsleep ${n * 2}`);
  return [...loop, `${command} || goto failed`, `:${label}-done`];
}

/** The iPXE script for a machine that may not boot: says why on its console and asks again. */
export function renderRefusalScript(reason: string, url: string): string {
  const lines = reason.split('\n').map((line) => `echo rolecall: ${plain(line)}`);
  return [
    '#!ipxe',
    ...lines,
    'echo rolecall: asking again in 30 s',
    'sleep 30',
    `chain --replace ${url} || reboot`,
    '',
  ].join('\n');
}

/** Text that iPXE prints as it stands: no settings, no line ends. */
function plain(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').replaceAll('$', 'S');
}
