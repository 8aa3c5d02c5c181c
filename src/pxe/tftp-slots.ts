import type { TftpOptions } from './tftp-packet.ts';
import type { RemotePort } from './tftp-port.ts';
import type { Sender } from './tftp-sender.ts';

/** A read request that may be served. */
export interface Asked {
  readonly from: RemotePort;
  /** The datagram: its repetition is the same bytes. */
  readonly request: Buffer;
  readonly file: string;
  readonly options: TftpOptions;
}

/** One transfer under way; `sender` is undefined while its file is opened. */
export interface Slot {
  readonly asked: Asked;
  readonly since: number;
  sender: Sender | undefined;
}

export interface SlotLimits {
  /** Transfers at once. */
  readonly transfers: number;
  /** Transfers at once of one client address, behind which a whole rack may stand (NAT). */
  readonly transfersPerClient: number;
  /** Requests that wait for one of those to end. */
  readonly waiting: number;
  /** Milliseconds that a request waits; its client asks again meanwhile, or is gone. */
  readonly patience: number;
}

/** Which requests are served now, and which wait. Times are milliseconds of one steady clock. */
export interface Slots {
  of(from: RemotePort): Slot | undefined;
  all(): Iterable<Slot>;
  /** Where there is no room the request waits, in place of an earlier one from its port; or is too many. */
  admit(asked: Asked, now: number): 'start' | 'wait' | 'drop';
  occupy(asked: Asked, now: number): Slot;
  leave(slot: Slot): void;
  /** Requests that there is room for now, in the order in which they came, and those that waited too long. */
  nextWaiting(now: number): { readonly asked: Asked; readonly late: boolean } | undefined;
}

/** A transfer that nobody has answered for so long gives way to a request that waits. */
const silence = 1000;

export function createSlots(limits: SlotLimits): Slots {
  const running = new Map<string, Slot>();
  const waiting = new Map<string, { readonly asked: Asked; readonly since: number }>();
  const ofClient = new Map<string, number>();

  function hasRoom({ from }: Asked): boolean {
    const own = ofClient.get(from.address) ?? 0;
    return running.size < limits.transfers && own < limits.transfersPerClient;
  }

  function count(address: string, change: number): void {
    const own = (ofClient.get(address) ?? 0) + change;
    if (own > 0) ofClient.set(address, own);
    else ofClient.delete(address);
  }

  /** Forged addresses and machines that were switched off would hold a full server for half a minute. */
  function endOneUnanswered(now: number): void {
    for (const { sender, since } of running.values()) {
      if (now - since <= silence) return;
      const state = sender?.state();
      if (state?.phase !== 'sending' || state.heardAt !== undefined) continue;
      sender?.tell({ kind: 'gone', reason: 'never answered, and others wait' });
      return;
    }
  }

  return {
    of: (from) => running.get(keyOf(from)),
    all: () => running.values(),
    admit(asked, now) {
      const key = keyOf(asked.from);
      if (hasRoom(asked)) {
        waiting.delete(key);
        return 'start';
      }
      if (running.size >= limits.transfers) endOneUnanswered(now);
      if (!waiting.has(key) && waiting.size >= limits.waiting) return 'drop';
      waiting.set(key, { asked, since: now });
      return 'wait';
    },
    occupy(asked, now) {
      const slot: Slot = { asked, since: now, sender: undefined };
      running.set(keyOf(asked.from), slot);
      count(asked.from.address, 1);
      return slot;
    },
    leave(slot) {
      const { from } = slot.asked;
      count(from.address, -1);
      if (running.get(keyOf(from)) === slot) running.delete(keyOf(from));
    },
    nextWaiting(now) {
      for (const [key, { asked, since }] of waiting) {
        const late = now - since > limits.patience;
        if (!late && running.size >= limits.transfers) return undefined;
        if (!late && !hasRoom(asked)) continue;
        waiting.delete(key);
        return { asked, late };
      }
      return undefined;
    },
  };
}

function keyOf({ address, port }: RemotePort): string {
  return `${address}:${port}`;
}
