import type { MacAddress } from '../net/mac.ts';
import type { Lease, LeaseBatch, LeaseStore } from '../state/leases.ts';

/** Changes of leases that go to disk together, and what waits until they are there. */
export interface GroupCommit {
  put(lease: Lease): void;
  delete(mac: MacAddress): void;
  /** Runs `done` when the changes so far are on disk; never where they could not be written. */
  whenWritten(done: () => void): void;
  flush(): void;
}

/** Answers that wait for one write at most. */
const mostWaiting = 256;

/** Milliseconds that an answer waits for others to share its write, while they keep coming. */
const longestWait = 2;

/**
 * Decisions of one turn of the loop share one write: a disk that takes a millisecond for each write would
 * otherwise bound the server to a thousand machines a second.
 */
export function createGroupCommit(
  leases: Pick<LeaseStore, 'batch'>,
  log: (line: string) => void,
): GroupCommit {
  let batch: LeaseBatch | undefined;
  let waiting: (() => void)[] = [];
  let timer: NodeJS.Immediate | undefined;
  let since = 0;

  function flush(): void {
    if (timer) clearImmediate(timer);
    timer = undefined;
    const [written, answers] = [batch, waiting];
    batch = undefined;
    waiting = [];
    try {
      written?.commit();
    } catch (error) {
      // No acknowledgement leaves; the clients ask again.
      log(
        `dhcp: ${answers.length} answers are not sent, for their leases are not on disk: ${(error as Error).message}`,
      );
      return;
    }
    for (const answer of answers) {
      try {
        answer();
      } catch (error) {
        log(`dhcp: ${(error as Error).message}`);
      }
    }
  }

  function look(before: number): void {
    const isGrowing = waiting.length > before && performance.now() - since < longestWait;
    const count = waiting.length;
    if (isGrowing) timer = setImmediate(() => look(count));
    else flush();
  }

  const open = (): LeaseBatch => {
    batch ??= leases.batch();
    return batch;
  };
  return {
    put: (lease) => open().put(lease),
    delete: (mac) => open().delete(mac),
    whenWritten(done) {
      const count = waiting.push(done);
      if (count >= mostWaiting) flush();
      else if (!timer) {
        since = performance.now();
        timer = setImmediate(() => look(count));
      }
    },
    flush,
  };
}
