import type { MacAddress } from '../net/mac.ts';
import { createLastMachines } from '../state/last-machines.ts';
import type { DhcpDecision } from './dhcp-decision.ts';

/** Milliseconds in which the same thing is not said twice: firmware repeats its question every few seconds. */
const quietTime = 60_000;

/** Reasons of one machine that are told apart within that time. */
const reasonsKept = 4;

/** What was said of whom lately. */
export interface RepeatedRefusals {
  /** Whether this decision says something that was not said within the last minute; asking counts as saying. */
  isNews(mac: MacAddress, decision: DhcpDecision, now: number): boolean;
}

/** Remembers the last `limit` machines, so that a flood of them cannot fill the memory. */
export function createRepeatedRefusals(limit = 4096): RepeatedRefusals {
  const saidOf = createLastMachines<Map<string, number>>(limit);
  return {
    isNews(mac, decision, now) {
      const about = subject(mac, decision);
      if (about === undefined) return true;
      const said = new Map(
        // What was said in the future was said before the clock was set back: nobody knows how long ago.
        [...(saidOf.get(about.who) ?? [])].filter(([, at]) => Math.abs(now - at) < quietTime),
      );
      const isNew = !said.has(about.what) && said.size < reasonsKept;
      if (isNew) said.set(about.what, now);
      saidOf.set(about.who, said);
      return isNew;
    },
  };
}

/** Who is told of what; undefined for an answer that is always worth an event. */
function subject(
  mac: MacAddress,
  decision: DhcpDecision,
): { who: string; what: string } | undefined {
  const { event } = decision;
  if (event?.kind === 'dhcp-problem' && event.problem === 'pool-full') {
    // The pool is full for everybody, however many machines ask.
    return { who: 'pool', what: event.reason };
  }
  if (event?.kind === 'dhcp-problem' || event?.kind === 'dhcp-refused') {
    return { who: mac, what: event.reason };
  }
  // A machine that boots again within the minute is on record again: what it takes belongs to that boot.
  if (event) return undefined;
  return decision.kind === 'ignore' ? { who: mac, what: decision.reason } : undefined;
}
