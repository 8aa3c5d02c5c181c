import { expect, it } from 'vitest';
import type { DhcpDecision } from '../../../src/pxe/dhcp-decision.ts';
import { createStrangerEvents } from '../../../src/pxe/stranger-events.ts';
import { ip } from './a-dhcp-site.ts';

const told = { via: 'pxe', client: 'BIOS' } as const;
const offer: DhcpDecision = {
  ...{ kind: 'ignore', reason: '', node: 'spare-525400000099', changes: [] },
  event: { kind: 'dhcp-offered', address: ip('10.77.0.200'), ...told },
};
const ack: DhcpDecision = {
  ...offer,
  event: { kind: 'dhcp-acked', address: ip('10.77.0.200'), ...told },
};

it('a flood is told of in part, once a minute that it is, and acknowledgements always', () => {
  const strangers = createStrangerEvents();
  const outcomes = Array.from({ length: 5000 }, () => strangers.admit(offer, 1000));
  expect(outcomes.filter((o) => o.tell)).toHaveLength(2000);
  expect(outcomes.flatMap((o) => o.instead ?? [])).toHaveLength(1);
  expect(outcomes[2000]?.instead).toContain('makes MAC addresses up');
  expect(strangers.admit(ack, 1000)).toEqual({ tell: true });
  // Two more for each second of quiet.
  const later = Array.from({ length: 10 }, () => strangers.admit(offer, 4000));
  expect(later.filter((o) => o.tell)).toHaveLength(6);
  expect(later.flatMap((o) => o.instead ?? [])).toEqual([]);
  const minuteLater = Array.from({ length: 200 }, () => strangers.admit(offer, 61_500));
  expect(minuteLater.flatMap((o) => o.instead ?? [])).toHaveLength(1);
});

it('a clock that is set back silences nothing', () => {
  const strangers = createStrangerEvents();
  const day = 24 * 60 * 60_000;
  expect(strangers.admit(offer, 2 * day)).toEqual({ tell: true });
  expect(strangers.admit(offer, day)).toEqual({ tell: true });
});
