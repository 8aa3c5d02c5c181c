import type { Event, EventBody } from '../state/event.ts';
import type { Machines } from '../state/fold-events.ts';
import type { State } from '../state/state.ts';
import { trackNodes } from '../state/track-nodes.ts';

/** What happened to which machine; the journal adds when. */
export type JournalEntry = EventBody & Pick<Event, 'machine' | 'node'>;

/** Events as they happen, kept and folded into the machines' states. */
export interface Journal {
  readonly listeningSince: number;
  add(entry: JournalEntry): void;
  machines(): Machines;
  stop(): void;
}

/** A journal over what the state folder remembers; it notices who falls silent. */
export function openJournal(state: Pick<State, 'events' | 'boots'>, now: () => number): Journal {
  const tracker = trackNodes(state, now);
  return {
    get listeningSince() {
      return tracker.look().listeningSince;
    },
    add: (entry) => state.events.append({ at: now(), ...entry }),
    machines: tracker.machines,
    stop: tracker.stop,
  };
}
