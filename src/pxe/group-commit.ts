import { setImmediate as nextTurn } from 'node:timers/promises';
import type { MacAddress } from '../net/mac.ts';
import type { Lease, LeaseBatch, LeaseStore } from '../state/leases.ts';

/** Changes of leases that go to disk together, and what waits until they are there. */
export interface GroupCommit {
  put(lease: Lease): void;
  delete(mac: MacAddress): void;
  /** Runs `done` when the changes so far are on disk, `refused` with the reason where they could not be written. */
  whenWritten(done: () => void, refused: (why: string) => void): void;
  /** Resolves when nothing waits any more. */
  flush(): Promise<void>;
}

/** What waits for the disk. */
interface Waiting {
  readonly done: () => void;
  readonly refused: (why: string) => void;
}

/** Answers that share one write at most. */
const mostTogether = 256;

/**
 * Answers that leave in one turn of the loop: a relay gets those to a whole hall on one socket, and Linux gives a
 * socket room for some two hundred.
 */
const answersTogether = 32;

/** Milliseconds that an answer waits for others to share its write, while they keep coming. */
const longestWait = 2;

/** Answers that wait for a disk which does not keep up; more are not given, for their clients ask again. */
const mostWaiting = 4096;

/**
 * Decisions of one turn of the loop share one write, and those that come while the disk is at work share the next:
 * a disk that takes a millisecond for each write would otherwise bound the server to a thousand machines a second.
 */
export function createGroupCommit(
  leases: Pick<LeaseStore, 'batch' | 'sync'>,
  log: (line: string) => void,
): GroupCommit {
  let batch: LeaseBatch | undefined;
  let waiting: Waiting[] = [];
  let timer: NodeJS.Immediate | undefined;
  let since = 0;
  let underWay: Promise<void> | undefined;

  function write(): void {
    if (timer) clearImmediate(timer);
    timer = undefined;
    const [written, waited] = [batch, waiting];
    batch = undefined;
    waiting = [];
    underWay = finish(written, waited).then(() => {
      underWay = undefined;
      if (waiting.length > 0) gather();
    });
  }

  function gather(): void {
    const count = waiting.length;
    since = performance.now();
    timer = setImmediate(() => look(count));
  }

  async function finish(written: LeaseBatch | undefined, waited: readonly Waiting[]) {
    let why: string | undefined;
    try {
      written?.commit();
      await leases.sync();
    } catch (error) {
      // No acknowledgement leaves; the clients ask again.
      why = error instanceof Error ? error.message : String(error);
    }
    let left = answersTogether;
    for (const { done, refused } of waited) {
      if (left === 0) {
        await nextTurn();
        left = answersTogether;
      }
      left -= 1;
      try {
        if (why === undefined) done();
        else refused(why);
      } catch (error) {
        log(`dhcp: ${(error as Error).message}`);
      }
    }
  }

  function look(before: number): void {
    const count = waiting.length;
    const mayGrow = count < mostTogether && performance.now() - since < longestWait;
    if (count > before && mayGrow) timer = setImmediate(() => look(count));
    else write();
  }

  const open = (): LeaseBatch => {
    batch ??= leases.batch();
    return batch;
  };
  return {
    put: (lease) => open().put(lease),
    delete: (mac) => open().delete(mac),
    whenWritten(done, refused) {
      if (waiting.length >= mostWaiting) return;
      waiting.push({ done, refused });
      if (!timer && !underWay) gather();
    },
    async flush() {
      while (underWay || batch) {
        if (!underWay) write();
        await underWay;
      }
    },
  };
}
