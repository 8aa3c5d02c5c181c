import { grubConfigPath, imagePath } from '../boot/boot-paths.ts';
import type { BootSet } from '../boot/boot-set.ts';
import { type BootInstance, bootArguments } from '../boot/kernel-args.ts';

/**
 * What GRUB reads first, the same for every machine: it asks for the configuration of its own, in the words
 * in which iPXE asks for a boot script, and asks again whenever that one comes to its end.
 * `server` is such as `http://10.77.0.1`.
 */
export function renderGrubStart(server: string): string {
  return [
    'set pager=0',
    'smbios --type 1 --get-uuid 8 --set uuid',
    'smbios --type 1 --get-string 7 --set serial',
    // GRUB cannot escape; a serial number that would need more than this is left out.
    `while regexp --set 1:head --set 2:tail '^([^ ]*) (.*)$' "$serial"; do`,
    `  set serial="\${head}%20\${tail}"`,
    'done',
    `if regexp '[^A-Za-z0-9._:/%-]' "$serial"; then set serial=; fi`,
    'while true; do',
    `  source "${grubFile(server, grubConfigPath)}?mac=$net_default_mac&uuid=$uuid&serial=$serial&arch=$grub_cpu"`,
    "  echo 'rolecall: asking again in 15 s'",
    '  sleep 15',
    'done',
    '',
  ].join('\n');
}

/** The GRUB configuration that boots one node's boot set. */
export function renderGrubConfig(set: BootSet, boot: BootInstance): string {
  const kernel = quoted(grubFile(boot.server, imagePath(set.kernel.digest)));
  const initramfs = quoted(grubFile(boot.server, imagePath(set.initramfs.digest)));
  const line = bootArguments(set, boot).map(quoted).join(' ');
  return [
    say(`${set.node} boots as ${set.roles.join(', ')} (boot set ${set.digest.slice(0, 12)})`),
    // Three tries: a burst of booting machines may fill a switch's buffers.
    'for wait in 2 4 30; do',
    `  if linux ${kernel} ${line}; then`,
    `    if initrd ${initramfs}; then boot; fi`,
    '  fi',
    `  ${say(`${set.node} could not boot`)}`,
    '  sleep $wait',
    'done',
    // Firmware may be out of sorts by now.
    'reboot',
    '',
  ].join('\n');
}

/** The GRUB configuration of a machine that may not boot: it says why; GRUB's first one asks again. */
export function renderGrubRefusal(reason: string): string {
  return [...reason.split('\n').map(say), 'sleep 15', ''].join('\n');
}

/** GRUB's name of what is at this path of an HTTP server. */
function grubFile(server: string, path: string): string {
  return `(http,${new URL(server).host})${path}`;
}

function say(text: string): string {
  return `echo ${quoted(`rolecall: ${text.replace(/[^\x20-\x7e]/g, '?')}`)}`;
}

/** A word that GRUB takes as it stands. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
