import { describe, expect, it } from 'vitest';
import type { DhcpDecision } from '../../../src/pxe/dhcp-decision.ts';
import { createRepeatedRefusals } from '../../../src/pxe/repeated-refusals.ts';
import type { EventBody } from '../../../src/state/event.ts';
import { ip, mac } from './a-dhcp-site.ts';

const one = mac('52:54:00:00:00:01');
const other = mac('52:54:00:00:00:02');

function ignored(reason: string, event?: EventBody): DhcpDecision {
  return { kind: 'ignore', reason, node: '', changes: [], ...(event ? { event } : {}) };
}
const refused = (reason: string) => ignored(reason, { kind: 'dhcp-refused', reason });
const full = ignored('full', { kind: 'dhcp-problem', problem: 'pool-full', reason: 'full' });

describe('a repeated refusal', () => {
  it('is news once a minute', () => {
    const refusals = createRepeatedRefusals();
    const said = [0, 4_000, 59_999, 60_000, 64_000].map((at) =>
      refusals.isNews(one, refused('no loader'), at),
    );
    expect(said).toEqual([true, false, false, true, false]);
  });

  it('is news when the clock was set back', () => {
    const refusals = createRepeatedRefusals();
    expect(refusals.isNews(one, refused('no loader'), 86_400_000)).toBe(true);
    expect(refusals.isNews(one, refused('no loader'), 0)).toBe(true);
    expect(refusals.isNews(one, refused('no loader'), 1)).toBe(false);
  });

  it('hides nothing of another machine, and no other reason', () => {
    const refusals = createRepeatedRefusals();
    expect(refusals.isNews(one, refused('no loader'), 0)).toBe(true);
    expect(refusals.isNews(other, refused('no loader'), 1)).toBe(true);
    expect(refusals.isNews(one, refused('wrong switch'), 2)).toBe(true);
  });

  it('with ever new reasons is told four times a minute', () => {
    const refusals = createRepeatedRefusals();
    const news = Array.from({ length: 100 }, (_, n) =>
      refusals.isNews(one, refused(`10.77.0.${n} is not its address here`), n),
    );
    expect(news.filter(Boolean)).toHaveLength(4);
    expect(refusals.isNews(one, refused('later'), 60_010)).toBe(true);
  });

  it('of a full pool is news once a minute, whoever asks', () => {
    const refusals = createRepeatedRefusals();
    expect(refusals.isNews(one, full, 0)).toBe(true);
    expect(refusals.isNews(other, full, 1)).toBe(false);
    expect(refusals.isNews(other, full, 60_000)).toBe(true);
  });

  it('is forgotten where very many machines were refused since', () => {
    const refusals = createRepeatedRefusals(2);
    const more = ['03', '04', '05'].map((n) => mac(`52:54:00:00:00:${n}`));
    for (const who of [one, other, ...more]) {
      expect(refusals.isNews(who, refused('no loader'), 0)).toBe(true);
    }
    expect(refusals.isNews(more[0] ?? one, refused('no loader'), 1)).toBe(false);
    expect(refusals.isNews(one, refused('no loader'), 2)).toBe(true);
  });
});

describe('an address that another DHCP server gave', () => {
  it('is told at every boot, also where one follows the other within a minute', () => {
    const refusals = createRepeatedRefusals();
    const taken: EventBody = { kind: 'address-taken', address: ip('10.77.0.52'), via: 'pxe' };
    expect([0, 1].map((at) => refusals.isNews(one, ignored('x', taken), at))).toEqual([true, true]);
  });
});

describe('what is ignored without an event', () => {
  it('is said once a minute too', () => {
    const refusals = createRepeatedRefusals();
    expect([0, 1].map((at) => refusals.isNews(one, ignored('its own'), at))).toEqual([true, false]);
  });
});
