import { join } from 'node:path';
import { runContained } from '../system/run-contained.ts';
import type { ProgramResult } from '../system/run-program.ts';

/** The environment in which packages are installed: the same for everybody, whoever builds. */
export function installEnvironment(epoch: number): Record<string, string> {
  return {
    SOURCE_DATE_EPOCH: String(epoch),
    DEBIAN_FRONTEND: 'noninteractive',
    LC_ALL: 'C.UTF-8',
    TZ: 'UTC',
    // No initramfs-tools: the image brings an initramfs of its own.
    INITRD: 'No',
  };
}

export interface InRoot {
  readonly env: Readonly<Record<string, string>>;
  /** Folder of this machine that is to be seen at `/mnt`. */
  readonly mnt?: string;
}

/**
 * Runs a program inside an unpacked root, as packages' scripts expect it: /proc, /dev with the devices that every
 * machine has, no service started. No network, and a host name that says nothing. Leaves nothing mounted.
 */
export async function runInRoot(
  root: string,
  command: readonly string[],
  { env, mnt = '' }: InRoot,
): Promise<ProgramResult> {
  const variables = Object.entries({ PATH: path, HOME: '/root', ...env }).map(
    ([k, v]) => `${k}=${v}`,
  );
  return runContained(
    'sh',
    ['-c', script, 'sh', root, mnt, 'env', '-i', ...variables, ...command],
    {
      network: false,
      cwd: join(root, '/'),
    },
  );
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

// The mounts are of this run's own namespace. What is mounted over a file leaves the file as it was.
const script = `
set -eu
root=$1; mnt=$2; shift 2
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  : > "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir -m 1777 "$root/dev/shm"
mkdir "$root/dev/pts"
ln -s /proc/self/fd "$root/dev/fd"
for number in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/\${number%%:*}" "$root/dev/\${number#*:}"; done
mount -t tmpfs -o mode=755 tmpfs "$root/mnt"
mkdir "$root/mnt/packages"
[ -z "$mnt" ] || mount --bind "$mnt" "$root/mnt/packages"
printf '#!/bin/sh\\nexit 101\\n' > "$root/mnt/policy-rc.d"
printf '#!/bin/sh\\nexit 0\\n' > "$root/mnt/start-stop-daemon"
chmod 755 "$root/mnt/policy-rc.d" "$root/mnt/start-stop-daemon"
policy=$root/usr/sbin/policy-rc.d
[ -e "$policy" ] || { : > "$policy"; made=1; }
mount --bind "$root/mnt/policy-rc.d" "$policy"
starter=$root/usr/sbin/start-stop-daemon
[ ! -e "$starter" ] || mount --bind "$root/mnt/start-stop-daemon" "$starter"
status=0
chroot "$root" "$@" || status=$?
umount "$policy"
[ -z "\${made:-}" ] || rm "$policy"
exit "$status"
`;
