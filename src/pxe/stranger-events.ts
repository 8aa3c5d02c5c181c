import { createAllowance } from './allowance.ts';
import type { DhcpDecision } from './dhcp-decision.ts';

/** How much is told of machines that no role file names. */
export interface StrangerEvents {
  /** Whether this decision is told, and where it is the first that is not, why. */
  admit(decision: DhcpDecision, now: number): { readonly tell: boolean; readonly instead?: string };
}

/** Questions told of at once: a hall of racks that gets power; and then each second. */
const atOnce = 2000;
const perSecond = 2;

/** Milliseconds between two words about what is left out. */
const wordEvery = 60_000;

/**
 * Made-up MAC addresses must not fill memory and disk with events. Acknowledgements are always told: they are no
 * more than the pool has addresses.
 */
export function createStrangerEvents(): StrangerEvents {
  const allowance = createAllowance({ atOnce, perSecond });
  let saidAt = Number.NEGATIVE_INFINITY;
  return {
    admit({ event }, now) {
      if (event?.kind === 'dhcp-acked') return { tell: true };
      if (allowance.take(now)) return { tell: true };
      // The clock may have been set back.
      if (Math.abs(now - saidAt) < wordEvery) return { tell: false };
      saidAt = now;
      return {
        tell: false,
        instead: `over ${atOnce} questions of machines without a role file came at once; only ${perSecond} a second are recorded now. Where nobody switched racks on, a program on that network makes MAC addresses up`,
      };
    },
  };
}
