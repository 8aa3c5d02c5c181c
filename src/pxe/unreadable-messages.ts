import { macFromBytes } from '../net/mac.ts';
import { createAllowance } from './allowance.ts';

/** Says which messages cannot be read as a client's, and why. */
export interface UnreadableMessages {
  /** `address` is the sender's; `now` in milliseconds since the epoch. */
  tell(bytes: Uint8Array, address: string, reason: string, now: number): void;
}

/** Enough for some broken machines; a program that sends garbage fills no log. */
const terms = { atOnce: 20, perSecond: 0.1 };

/** Where chaddr begins (RFC 2131 §2); before it has an address a client's sender is 0.0.0.0. */
const chaddrAt = 28;

/** One line each for the first ones; then one every ten seconds, with the number of those left out. */
export function createUnreadableMessages(log: (line: string) => void): UnreadableMessages {
  const allowance = createAllowance(terms);
  let unsaid = 0;
  return {
    tell(bytes, address, reason, now) {
      if (!allowance.take(now)) {
        unsaid += 1;
        return;
      }
      const mac = macFromBytes(bytes.subarray(chaddrAt, chaddrAt + 6));
      const sender = mac === undefined ? address : `${address}, hardware address ${mac},`;
      const more = unsaid === 0 ? '' : `; before it ${unsaid} more that are not told of`;
      unsaid = 0;
      log(`dhcp: a message of ${sender} is not answered: ${reason}${more}`);
    },
  };
}
