import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { runContained } from '../system/run-contained.ts';
import { installEnvironment } from './run-in-root.ts';

export interface HookRun {
  /** The unpacked root that the hook changes. */
  readonly root: string;
  /** Absolute path of the script. */
  readonly run: string;
  /** False: it reaches no network. */
  readonly network: boolean;
  /** Files that it finds in /run/secrets by these names. */
  readonly secrets: readonly { readonly name: string; readonly file: string }[];
  readonly epoch: number;
}

/**
 * Runs a script of the site in the root as root, with namespaces of its own and an environment that is the same for
 * everybody. /run and /tmp are in memory and go with it: script and secrets reach no disk.
 */
export async function runHook(
  { root, run, network, secrets, epoch }: HookRun,
  onLine: (line: string) => void,
): Promise<void> {
  const env = { PATH: path, HOME: '/root', ...installEnvironment(epoch) };
  const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  const given = secrets.flatMap(({ name, file }) => [name, file]);
  await runContained(
    'sh',
    [
      '-c',
      script,
      'sh',
      root,
      run,
      network ? 'yes' : 'no',
      ...given,
      '--',
      'env',
      '-i',
      ...variables,
    ],
    { ...(network ? {} : { network: false as const }), cwd: join(root, '/'), onStderrLine: onLine },
  ).catch((error: unknown) => {
    if (!(error instanceof AppError) || error.code !== 'program-failed') throw error;
    // Neither the sandbox nor the names of secrets' files say anything about the fault.
    const said = error.message.slice(error.message.indexOf('\n'));
    const hint = network
      ? 'correct the script; it runs in the root of the image'
      : 'correct the script; it reaches no network without network: true';
    throw new AppError('hook-failed', `${run}${said}`, hint, { cause: error });
  });
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

// The mounts are of this run's own namespace.
const script = `
set -eu
root=$1; run=$2; network=$3; shift 3
mkdir -p "$root/proc" "$root/dev" "$root/run" "$root/tmp"
for place in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs "$root/$place"; done
chmod 1777 "$root/tmp"
mount -t proc proc "$root/proc"
for device in null zero full random urandom tty; do
  : > "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir -m 1777 "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
mkdir -m 0700 "$root/run/secrets"
while [ "$1" != -- ]; do
  (umask 077; cat < "$2" > "$root/run/secrets/$1")
  shift 2
done
shift
cat < "$run" > "$root/run/hook"
chmod 0700 "$root/run/hook"
if [ "$network" = yes ]; then
  cat /etc/resolv.conf > "$root/run/resolv.conf"
  # The root's own may be a link, which from here would lead to a file of this machine.
  resolv=$root/etc/resolv.conf
  target=$(readlink "$resolv" || :)
  [ -z "$target" ] || rm "$resolv"
  made=''
  [ -e "$resolv" ] || { made=1; : > "$resolv"; }
  mount --bind "$root/run/resolv.conf" "$resolv"
fi
status=0
chroot "$root" "$@" /run/hook >&2 || status=$?
if [ "$network" = yes ]; then
  umount "$resolv"
  [ -z "$made" ] || rm "$resolv"
  [ -z "$target" ] || ln -s "$target" "$resolv"
fi
exit "$status"
`;
