import { type Cidr, formatHost, type Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import type { Role } from '../roles/role.ts';
import type { SiteNode } from '../site/site.ts';
import type { BootSet } from './boot-set.ts';

/** Kernel arguments that belong to a boot set: consoles and what the roles ask for, each once. */
export function kernelArguments(
  node: Pick<SiteNode, 'console'>,
  roles: readonly Role[],
): readonly string[] {
  return [
    ...new Set([
      // The last console becomes /dev/console, where the initramfs and systemd speak.
      'console=tty0',
      `console=${node.console.device},${node.console.baud}`,
      // Without a display server nobody needs the kernel to paint; errors still reach the console.
      'quiet',
      'loglevel=4',
      // A panic in a machine without disks is cured by the next boot.
      'panic=30',
      ...roles.flatMap((role) => role.arguments),
    ]),
  ];
}

/** What only this one boot has. */
export interface BootInstance {
  /** 32 hexadecimal digits. */
  readonly bootId: string;
  /** 64 hexadecimal digits; opens the secrets of this boot once. */
  readonly token: string;
  readonly mac: MacAddress;
  /** `http://10.77.0.1` or with a port. */
  readonly server: string;
  /** Left out where the node shall ask DHCP. */
  readonly address?: { readonly address: Ipv4; readonly subnet: Cidr; readonly gateway?: Ipv4 };
}

/** Every kernel argument of one boot, in the order in which the initramfs documents them. */
export function bootArguments(set: BootSet, boot: BootInstance): readonly string[] {
  const { address } = boot;
  return [
    `BOOTIF=01-${boot.mac.replaceAll(':', '-')}`,
    `rolecall.server=${boot.server}`,
    `rolecall.node=${set.node}`,
    `rolecall.boot=${boot.bootId}`,
    `rolecall.token=${boot.token}`,
    `rolecall.set=${set.digest}`,
    `rolecall.root=${set.root.map(({ digest, size }) => `${digest}:${size}`).join(',')}`,
    `rolecall.overlay=${set.overlay.digest}:${set.overlay.size}`,
    ...(address ? [`rolecall.address=${formatHost(address.address, address.subnet)}`] : []),
    ...(address?.gateway ? [`rolecall.gateway=${address.gateway}`] : []),
    ...set.arguments,
  ];
}
