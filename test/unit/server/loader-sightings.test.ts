import { expect, test } from 'vitest';
import type { Ipv4 } from '../../../src/net/ipv4.ts';
import { createLoaderSightings } from '../../../src/server/loader-sightings.ts';
import { dhcp, mac, script } from '../state/fold.ts';

const machine = mac(1);

function sightings() {
  const journal = { listeningSince: 0, add: () => {}, machines: () => new Map(), stop: () => {} };
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
