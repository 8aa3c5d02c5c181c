import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { guestCost, planMemory } from '../../../src/lab/memory-budget.ts';
import { holdsWith } from '../../../src/lab/start-order.ts';
import { freeTurns, switchOnInTurn } from '../../../src/lab/switch-on.ts';
import { planGuests } from '../../../src/lab/vm-spec.ts';
import { loadSite } from '../../../src/site/load-site.ts';
import type { NodeStatus, Stage } from '../../../src/state/event.ts';

const loaded = await loadSite(join(import.meta.dirname, '../../../examples/lab'));
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
const site = loaded.value;
const guests = planGuests(site, { spares: 1, memory: 512 });
const names = (some: readonly { readonly name: string }[]) => some.map(({ name }) => name);
const spare = 'spare-525400770099';

describe("the lab's own site", () => {
  it('has seven nodes and a spare; what clients see comes first, what stands alone last', () => {
    expect(names(guests)).toEqual(['web1', 'web2', 'lb1', 'lb2', 'nfs1', 'nfs2', spare, 'mail1']);
    expect(guests.slice(0, 2).map(({ firmware }) => firmware)).toEqual(['bios', 'uefi']);
  });

  it('has a spare with the hardware of any of them', () => {
    const hardware = guests.find(({ name }) => name === spare);
    expect(hardware?.nics.map(({ network }) => network)).toEqual(['boot', 'storage']);
    expect(hardware?.disks.map(({ serial }) => serial)).toEqual(['www', 'mail']);
  });

  it.each([
    [4, ['web1', 'web2', 'lb1', 'lb2']],
    [5, ['web1', 'web2', 'lb1', 'lb2', spare]],
    [6, ['web1', 'web2', 'lb1', 'lb2', 'nfs1', 'nfs2']],
    [7, ['web1', 'web2', 'lb1', 'lb2', 'nfs1', 'nfs2', spare]],
  ])('on a PC that carries %i of them: no half pair', (count, started) => {
    const most = Math.max(...guests.map((guest) => guestCost(guest, 'tcg')));
    const { fit } = planMemory(guests, 768 + count * most, 'tcg', (name) => holdsWith(site, name));
    expect(names(fit)).toEqual(started);
  });
});

describe('switching on in turn', () => {
  const status = (stage: Stage) => ({ stage }) as NodeStatus;

  it('lets so many boot at a time; what hangs holds up nobody for ever', () => {
    const booting = { since: 0, status: status('root') };
    const failed = { since: 0, status: status('failed') };
    expect(freeTurns(2, [booting, failed], 60_000)).toBe(1);
    expect(freeTurns(2, [booting, { since: 0, status: undefined }], 60_000)).toBe(0);
    expect(freeTurns(2, [booting, booting, booting], 60_000)).toBe(0);
    expect(freeTurns(2, [booting, booting], 300_000)).toBe(2);
  });

  it('switches on who is left when others have arrived, in order', async () => {
    const on: string[] = ['web1', 'web2'];
    const left: (readonly string[])[] = [];
    const lab = {
      guest: (name: string) => (on.includes(name) ? ({} as never) : undefined),
      start: async (name: string) => {
        on.push(name);
      },
      // Whoever is on arrives at once.
      status: async () => on.map((name) => ({ ...status('ready'), name, mac: [] as string[] })),
    } as unknown as Parameters<typeof switchOnInTurn>[0];
    const plan = { guests, inTurn: ['lb1', 'lb2', 'nfs1'], atOnce: 2 };
    await switchOnInTurn(lab, plan, (names_) => left.push(names_));
    expect(on).toEqual(['web1', 'web2', 'lb1', 'lb2', 'nfs1']);
    expect(left).toEqual([['lb2', 'nfs1'], ['nfs1'], []]);
  });
});
