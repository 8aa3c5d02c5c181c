import { chmod, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FollowedProgram } from './followed-program.ts';
import type { Namespace } from './namespace.ts';

/** What udhcpc hands to its script, by its names for it. */
export type ToldByDhcp = Readonly<Record<string, string>>;

const names =
  'ip subnet router dns hostname domain siaddr sname boot_file tftp bootfile vendor lease';

/** One line `bound name=value …` for each thing that it was told; the address is set. */
const script = `#!/bin/sh
case $1 in bound | renew) ;; *) exit 0 ;; esac
for name in ${names} opt43 opt82 opt175; do eval "value=\\$$name"; echo "$1 $name=$value"; done
ip address replace $ip/$mask dev $interface
`;

/** Runs BusyBox udhcpc on the card `eth0` of a host until it has a lease: what it was told. */
export async function runUdhcpc(
  host: Namespace,
  folder: string,
  args: readonly string[] = [],
): Promise<ToldByDhcp> {
  const file = await writeScript(folder);
  const { stdout } = await host.run(
    'busybox',
    ['udhcpc', '-f', '-q', '-n', '-t', '5', '-T', '1', '-s', file, ...args],
    { timeout: 20_000 },
  );
  const told = stdout.split('\n').flatMap((line) => {
    const found = /^bound (\w+)=(.*)$/.exec(line);
    return found ? [[found[1], found[2]]] : [];
  });
  return Object.fromEntries(told) as ToldByDhcp;
}

/** Starts it, to keep its lease; it renews on SIGUSR1 and gives the address back when it is stopped. */
export async function startUdhcpc(host: Namespace, folder: string): Promise<FollowedProgram> {
  return host.start('busybox', ['udhcpc', '-f', '-R', '-s', await writeScript(folder)]);
}

async function writeScript(folder: string): Promise<string> {
  const file = join(await mkdtemp(join(folder, 'udhcpc-')), 'script');
  await writeFile(file, script);
  await chmod(file, 0o755);
  return file;
}
