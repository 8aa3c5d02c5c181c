import { bootSteps } from './boot-steps.ts';
import { dhcpRules } from './diagnose-dhcp.ts';
import { linuxRules } from './diagnose-linux.ts';
import { loaderRules } from './diagnose-loader.ts';
import type { WirePacket } from './wire-packet.ts';

/** How a boot goes, in an operator's words. */
export interface Diagnosis {
  /**
   * `ready`, `waiting` while the next step may still come, `stuck` when it is overdue, `failed` where
   * the machine was told no or says itself that it failed.
   */
  readonly state: 'ready' | 'waiting' | 'stuck' | 'failed';
  /** What was seen, in one sentence. */
  readonly verdict: string;
  /** What it may be and what to do; empty where nothing is wrong. */
  readonly hint: string;
  /** When `waiting` becomes `stuck`, milliseconds since the epoch. */
  readonly dueAt: number;
}

/** The end of a boot first: the first rule that knows the sequence says what it is. */
const rules = [...linuxRules, ...loaderRules, ...dhcpRules];

/** What the packets of a machine's last boot show at `now`, milliseconds since the epoch. */
export function diagnoseBoot(packets: readonly WirePacket[], now: number): Diagnosis {
  const steps = bootSteps(packets);
  const last = steps.at(-1);
  if (!last) return nothingSeen;
  const boot = { steps, last };
  for (const rule of rules) {
    const found = rule(boot);
    if (!found) continue;
    const { verdict, hint, since, patience } = found;
    const dueAt = since + patience;
    const state = found.state ?? (now >= dueAt ? 'stuck' : 'waiting');
    return { state, verdict, hint: state === 'ready' ? '' : hint, dueAt };
  }
  return {
    ...{ state: 'waiting', verdict: 'it boots', hint: '' },
    dueAt: Number.POSITIVE_INFINITY,
  };
}

const nothingSeen: Diagnosis = {
  state: 'stuck',
  verdict: 'no DISCOVER of it was seen',
  hint: 'is it switched on, does its firmware boot from the network, and by the card with this MAC? Is the cable in the boot network, the switch port in its VLAN? Behind a router: does the relay (ip helper-address) point to this server?',
  dueAt: Number.NEGATIVE_INFINITY,
};
