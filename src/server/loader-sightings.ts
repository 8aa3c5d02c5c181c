import type { Sent } from '../http/boot-service.ts';
import type { MacAddress } from '../net/mac.ts';
import type { TftpEvent } from '../pxe/tftp-server.ts';
import type { Event } from '../state/event.ts';
import type { Journal, JournalEntry } from './journal.ts';

/** Who fetched our loader, and when: TFTP and HTTP know addresses, DHCP knows whose they are. */
export interface LoaderSightings {
  noteDhcp(event: JournalEntry): void;
  noteTftp(event: TftpEvent): void;
  noteHttp(sent: Pick<Sent, 'name' | 'bytes' | 'from'>): void;
  /** A machine that got its boot script has come past its loader: when its ROM asks again, that is a new boot. */
  noteEvent(event: Event): void;
  /** Which machine was given this address last. */
  machineAt(address: string): MacAddress | undefined;
  /** Milliseconds since the epoch; undefined where it has not, or has come past its loader since. */
  fetchedAt(mac: MacAddress): number | undefined;
}

export function createLoaderSightings(
  journal: Journal,
  now: () => number,
  log: (line: string) => void,
): LoaderSightings {
  const machineAt = new Map<string, MacAddress>();
  const fetchedAt = new Map<MacAddress, number>();

  function noteSent(address: string, file: string, bytes: number, via: 'tftp' | 'http'): void {
    const machine = machineAt.get(address);
    if (!machine) return;
    fetchedAt.set(machine, now());
    const node = journal.machines().get(machine)?.run.node ?? '';
    journal.add({ machine, node, kind: 'loader-sent', file, bytes, via });
  }

  return {
    machineAt: (address) => machineAt.get(address),
    fetchedAt: (mac) => fetchedAt.get(mac),
    noteDhcp(event) {
      switch (event.kind) {
        case 'dhcp-acked':
        case 'address-taken':
        case 'proxy-answered':
          if (event.address !== undefined) machineAt.set(event.address, event.machine);
      }
      journal.add(event);
    },
    noteEvent(event) {
      if (event.kind === 'script-sent') fetchedAt.delete(event.machine);
    },
    noteTftp(event) {
      if (event.kind !== 'loader-sent') {
        log(`tftp: ${event.remote} ${event.name}: ${event.reason}`);
        return;
      }
      noteSent(event.remote, event.name, event.bytes, 'tftp');
    },
    noteHttp: ({ name, bytes, from }) => noteSent(from, name, bytes, 'http'),
  };
}
