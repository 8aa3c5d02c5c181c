/** How often something may be said or done: a flood must fill neither logs nor disks. */
export interface Allowance {
  /** Takes one of what is left; false where nothing is. `now` in milliseconds since the epoch. */
  take(now: number): boolean;
}

export interface AllowanceTerms {
  readonly atOnce: number;
  /** What comes back each second, up to `atOnce`. */
  readonly perSecond: number;
}

/** A full allowance. A clock that is set back takes nothing away. */
export function createAllowance({ atOnce, perSecond }: AllowanceTerms): Allowance {
  let left = atOnce;
  let at: number | undefined;
  return {
    take(now) {
      const seconds = Math.max(0, now - (at ?? now)) / 1000;
      left = Math.min(atOnce, left + seconds * perSecond);
      at = now;
      if (left < 1) return false;
      left -= 1;
      return true;
    },
  };
}
