import { expect, it } from 'vitest';
import { guestCost, planMemory } from '../../../src/lab/memory-budget.ts';
import { planGuests } from '../../../src/lab/vm-spec.ts';
import { siteOf } from './a-site.ts';

const guests = planGuests(siteOf(), { spares: 3, memory: 512, uefi: [] });
const names = (list: readonly { name: string }[]) => list.map((g) => g.name);

it('starts all where the memory is there', () => {
  const budget = planMemory(guests, 64_000, 'tcg');
  expect(names(budget.fit)).toEqual(names(guests));
  expect(budget.left).toEqual([]);
});

it('starts the first ones where it is not, and says which stay off', () => {
  const enough = planMemory(guests, 64_000, 'tcg').needed;
  expect(names(planMemory(guests, enough, 'tcg').left)).toEqual([]);
  expect(names(planMemory(guests, enough - 1, 'tcg').left)).toEqual(names(guests.slice(2)));
  expect(planMemory(guests, 500, 'tcg').fit).toEqual([]);
});

it('counts what QEMU itself takes when it translates', () => {
  for (const guest of guests) {
    expect(guestCost(guest, 'tcg')).toBeGreaterThan(guestCost(guest, 'kvm'));
  }
});

it('takes a pair or none of it, and what is smaller behind it', () => {
  const [a, b, c] = names(guests);
  const needs = (name: string) => (name === c ? [] : [a, b].filter((n) => n !== name)) as string[];
  const two = guestCost(guests[0] as (typeof guests)[0], 'tcg') * 2 + 768;
  expect(names(planMemory(guests, two, 'tcg', needs).fit)).toEqual([a, b]);
  expect(names(planMemory(guests, two - 1, 'tcg', needs).fit)).toEqual([c]);
});
