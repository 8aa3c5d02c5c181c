import { describeAge } from '../http/console-page.ts';
import type { WriteTrouble, WriteWatch } from '../state/write-watch.ts';

/** Milliseconds between two reminders. */
const reminder = 600_000;

/** Says that the state folder takes nothing, again every ten minutes while that lasts, and that it is over; gives back what ends that. */
export function tellWriteTrouble(
  writes: WriteWatch,
  now: () => number,
  log: (line: string) => void,
): () => void {
  let told: WriteTrouble | undefined;
  const tell = () => {
    const trouble = writes.trouble();
    if (trouble) {
      const still = told ? `still, after ${describeAge(now() - trouble.since)}: ` : '';
      log(`state: ${still}${describeWriteTrouble(trouble)}`);
    } else if (told) {
      const age = describeAge(now() - told.since);
      log(`state: what is to be remembered is on disk again, after ${age}; who waits goes on`);
    }
    told = trouble;
  };
  const unsubscribe = writes.subscribe(tell);
  const timer = setInterval(() => told && tell(), reminder).unref();
  return () => {
    clearInterval(timer);
    unsubscribe();
  };
}

/** One sentence that says what stops and what to type. */
export function describeWriteTrouble({ message, hint }: WriteTrouble): string {
  return `${message}. No machine is given an address of a pool, no boot begins and no secret is handed out until it can; nodes keep their addresses, and what runs goes on${hint ? `; ${hint}` : ''}`;
}
