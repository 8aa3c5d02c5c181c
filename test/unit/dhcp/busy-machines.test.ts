import { expect, it } from 'vitest';
import { createBusyMachines } from '../../../src/pxe/busy-machines.ts';
import { mac } from './a-dhcp-site.ts';

const one = mac('52:54:00:00:00:01');

it('a machine that asks without end is told of in part, which is said once', () => {
  const busy = createBusyMachines();
  const outcomes = Array.from({ length: 1000 }, (_, n) => busy.admit(one, n));
  expect(outcomes.filter((o) => o.tell)).toHaveLength(60);
  expect(outcomes.flatMap((o) => o.instead ?? [])).toEqual([
    expect.stringContaining('over 60 times'),
  ]);
  // It hides nothing of another machine.
  expect(busy.admit(mac('52:54:00:00:00:02'), 1000)).toEqual({ tell: true });
  // A minute later it is told of again, and so is its next flood.
  const later = Array.from({ length: 100 }, () => busy.admit(one, 61_000));
  expect(later.filter((o) => o.tell)).toHaveLength(30);
  expect(later.flatMap((o) => o.instead ?? [])).toHaveLength(1);
});
