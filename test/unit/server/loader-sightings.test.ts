import { expect, test } from 'vitest';
import type { Ipv4 } from '../../../src/net/ipv4.ts';
import type { JournalEntry } from '../../../src/server/journal.ts';
import { createLoaderSightings } from '../../../src/server/loader-sightings.ts';
import { dhcp, mac, script } from '../state/fold.ts';

const machine = mac(1);

function sightings(entries: JournalEntry[] = []) {
  const add = (entry: JournalEntry) => void entries.push(entry);
  const journal = { listeningSince: 0, add, machines: () => new Map(), stop: () => {} };
  const seen = createLoaderSightings(
    journal,
    () => 1000,
    () => {},
  );
  const acked = dhcp(0, 'ipxe');
  seen.noteDhcp(acked);
  if (acked.kind !== 'dhcp-acked') throw new Error('the sample is an acknowledgement');
  seen.noteTftp({
    kind: 'loader-sent',
    name: 'boot/loader/undionly.kpxe',
    remote: acked.address as Ipv4,
    bytes: 1,
    seconds: 1,
    retransmissions: 0,
    acknowledged: true,
  });
  return seen;
}

test('a machine that fetched the loader is remembered', () => {
  expect(sightings().fetchedAt(machine)).toBe(1000);
});

test('after its boot script the ROM that asks again is a ROM', () => {
  const seen = sightings();
  seen.noteEvent(script(2, 'b'));
  expect(seen.fetchedAt(machine)).toBeUndefined();
});

test('a loader sent over HTTP is of the machine that DHCP gave the address last', () => {
  const entries: JournalEntry[] = [];
  const seen = sightings(entries);
  seen.noteEvent(script(2, 'b'));
  const file = { name: 'ipxe.efi', bytes: 2 };
  seen.noteHttp({ ...file, from: '10.77.0.99' });
  expect(seen.fetchedAt(machine)).toBeUndefined();
  seen.noteHttp({ ...file, from: '10.77.0.21' });
  expect(seen.fetchedAt(machine)).toBe(1000);
  const sent = entries.filter((entry) => entry.kind === 'loader-sent');
  expect(sent).toMatchObject([
    { machine, via: 'tftp' },
    { machine, via: 'http', file: 'ipxe.efi', bytes: 2 },
  ]);
});
