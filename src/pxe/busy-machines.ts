import type { MacAddress } from '../net/mac.ts';
import { createLastMachines } from '../state/last-machines.ts';
import { type Allowance, createAllowance } from './allowance.ts';

/** Which machines ask more often than anybody wants to read. */
export interface BusyMachines {
  /** Whether this answer to it is told, and where it is the first that is not, why. */
  admit(mac: MacAddress, now: number): { readonly tell: boolean; readonly instead?: string };
}

/** A boot is some ten answers; one that begins anew every half minute is still told whole. */
const terms = { atOnce: 60, perSecond: 0.5 };

/**
 * One machine that asks without end, or a program with its MAC, must not push all else out of log and history.
 * Remembers the last `limit` machines.
 */
export function createBusyMachines(limit = 8192): BusyMachines {
  const busy = createLastMachines<{ readonly allowance: Allowance; isSaid: boolean }>(limit);
  return {
    admit(mac, now) {
      const known = busy.get(mac);
      const found = known ?? { allowance: createAllowance(terms), isSaid: false };
      if (!known) busy.set(mac, found);
      const tell = found.allowance.take(now);
      const isFirst = !tell && !found.isSaid;
      found.isSaid = !tell;
      if (!isFirst) return { tell };
      return {
        tell,
        instead: `it asked over ${terms.atOnce} times at once; only some of its questions are recorded now, and all are answered. Does its firmware start over and over, or does another program use its MAC address?`,
      };
    },
  };
}
