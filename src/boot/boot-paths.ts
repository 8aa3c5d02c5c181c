import type { Digest } from '../digest.ts';

/**
 * Names that DHCP, scripts and kernel arguments advertise and that TFTP and HTTP serve.
 * Both sides take them from here; the contract test fetches every one through the real servers.
 */

/** Folder of the loaders, the same over TFTP and HTTP. */
export const loaderFolder = 'boot/loader';

/** `boot/loader/undionly.kpxe`: a TFTP file name, and an HTTP path after a slash. */
export function loaderPath(fileName: string): string {
  return `${loaderFolder}/${fileName}`;
}

/**
 * The script that UEFI builds of our loader look for before anything else: a TFTP name, and over HTTP a
 * name beside the loader's.
 */
export const autoexecName = 'autoexec.ipxe';

/** What GRUB looks for first, over TFTP and HTTP: below the prefix that Debian's signed builds carry. */
export const grubStartNames: readonly string[] = [
  'grub/grub.cfg',
  'grub/x86_64-efi/grub.cfg',
  'grub/arm64-efi/grub.cfg',
];

/** A machine's configuration for GRUB; its query is the boot script's. */
export const grubConfigPath = '/boot/grub.cfg';

/** The boot script; its query says who asks: `mac`, and where known `uuid`, `serial`. */
export const scriptPath = '/boot/script';

/** An immutable blob of the image store: kernel, initramfs, root. */
export function imagePath(digest: Digest): string {
  return `/images/${digest}`;
}

/** A node's overlay, a tar. */
export function overlayPath(digest: Digest): string {
  return `/boot/overlay/${digest}`;
}

/** The secrets of one boot, a tar; `Authorization: Bearer <token>`, once. */
export function secretsPath(bootId: string): string {
  return `/boot/secrets/${bootId}`;
}

/** Where the node of this boot posts its stages. */
export function reportPath(bootId: string): string {
  return `/report/${bootId}`;
}

/** What a running node does to follow from the set that it runs to this one. */
export function followPath(bootId: string, set: Digest): string {
  return `/boot/follow/${bootId}/${set}`;
}

/** Where the node of this boot tells of a volume that it holds, and asks to lead it. */
export function volumePath(bootId: string, volume: string): string {
  return `/volume/${bootId}/${volume}`;
}
