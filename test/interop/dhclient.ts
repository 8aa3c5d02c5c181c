import { chmod, copyFile, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FollowedProgram } from './followed-program.ts';
import type { Namespace } from './namespace.ts';

/** ISC dhclient on one host, with a lease file of its own that outlives each run. */
export interface Dhclient {
  /** Runs it in the foreground until it is stopped. */
  start(): FollowedProgram;
  /** Gives the lease back to the server, as a shutdown does. */
  release(): Promise<void>;
}

export interface DhclientWishes {
  /** Before it looks whether its address is free, it waits for this file. */
  readonly gate?: string;
  /** Lines of dhclient.conf, such as `send dhcp-client-identifier "web1";`. */
  readonly conf?: readonly string[];
}

/**
 * Stands where dhclient-script does, which would write the host's own /etc/resolv.conf: says what it was told
 * as one line `script REASON name=value …`, and keeps the card's address. An address that answers to ARP is
 * not taken: dhclient declines it then.
 */
const script = `#!/bin/sh
# What dhclient itself says goes there, and shall stand in order with this.
exec >&2
line="script $reason"
for name in ip_address subnet_mask routers domain_name_servers host_name domain_name broadcast_address \\
	ntp_servers next_server filename dhcp_lease_time dhcp_renewal_time \\
\tdhcp_rebinding_time dhcp_server_identifier; do
	eval "value=\\$new_$name"
	[ -z "$value" ] || line="$line $name=$value"
done
echo "$line"
case $reason in
BOUND | REBOOT)
	until [ -z "$gate" ] || [ -e "$gate" ]; do sleep 0.1; done
	if busybox arping -D -q -c 1 -w 1 -I "$interface" "$new_ip_address"; then
		ip address replace "$new_ip_address/$new_subnet_mask" dev "$interface"
		[ -z "$new_routers" ] || ip route replace default via "$new_routers"
	else
		echo "script $new_ip_address is in use"
		exit 1
	fi
	;;
EXPIRE | FAIL | RELEASE | STOP)
	ip address flush dev "$interface"
	;;
TIMEOUT)
	exit 1
	;;
esac
exit 0
`;

/** Prepares dhclient for the card `eth0` of a host; its files lie in a new folder of `folder`. */
export async function prepareDhclient(
  host: Namespace,
  folder: string,
  wishes: DhclientWishes = {},
): Promise<Dhclient> {
  const own = await mkdtemp(join(folder, 'dhclient-'));
  const file = (name: string) => join(own, name);
  // A profile of AppArmor may keep /sbin/dhclient to the folders of the system; it goes by the path.
  await copyFile('/sbin/dhclient', file('dhclient'));
  await writeFile(file('script'), script);
  await chmod(file('script'), 0o755);
  await writeFile(
    file('conf'),
    [
      'timeout 20;',
      'retry 1;',
      'initial-interval 1;',
      'backoff-cutoff 2;',
      'initial-delay 0;',
      'reboot 3;',
      'request subnet-mask, routers, domain-name-servers, host-name, domain-name, broadcast-address,',
      '  ntp-servers, tftp-server-name, bootfile-name;',
      ...(wishes.conf ?? []),
      '',
    ].join('\n'),
  );
  const files = ['-cf', file('conf'), '-lf', file('leases'), '-pf', file('pid')];
  const args = [...files, '-sf', file('script'), '-e', `gate=${wishes.gate ?? ''}`];
  return {
    start: () =>
      host.start(file('dhclient'), ['-4', '-d', '--decline-wait-time', '1', ...args, 'eth0']),
    async release() {
      await host.run(file('dhclient'), ['-4', '-r', '--no-pid', ...args, 'eth0'], {
        timeout: 20_000,
      });
    },
  };
}

/** What dhclient was told at one of its steps, by the names of dhclient-script(8) without `new_`. */
export function toldAt(line: string): Readonly<Record<string, string>> {
  const words = line.split(' ').slice(2);
  return Object.fromEntries(
    words.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]),
  );
}
