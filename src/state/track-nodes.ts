import type { MacAddress } from '../net/mac.ts';
import type { Event, ReportedStage } from './event.ts';
import { defaultEventLimits } from './events.ts';
import {
  foldEvents,
  foldMachine,
  type MachineState,
  type Machines,
  type RunStage,
  rememberBoots,
} from './fold-events.ts';
import { forgettable, type Look, newlySilent } from './node-status.ts';
import type { State } from './state.ts';

/** The fold of the log, kept up to date. */
export interface NodeTracker {
  machines(): Machines;
  /** Who looks now. */
  look(): Look;
  stop(): void;
}

/** Milliseconds between looks for nodes that stopped reporting. */
const lookInterval = 2000;

/** A longer time between two looks is no time that passed while the server listened. */
const longestInterval = 5 * lookInterval;

/**
 * Folds what the log holds and then every event as it comes; adds a `silent` event when a machine stops reporting.
 * Subscribe to the log after this, and the machines already know each event that you hear of.
 */
export function trackNodes(state: Pick<State, 'events' | 'boots'>, now: () => number): NodeTracker {
  const { events, boots } = state;
  let listeningSince = now();
  let lookedAt = listeningSince;
  const machines = new Map<MacAddress, MachineState>(
    rememberBoots(foldEvents(events.all()), boots.list()),
  );
  const look = (): Look => ({ now: now(), listeningSince });

  const unsubscribe = events.subscribe((event) => {
    const before = machines.get(event.machine);
    const after = foldMachine(before, event);
    if (after) machines.set(event.machine, after);
    const stage = after?.run.stage;
    if (before?.run.silent && isAlive(event) && stage && isReported(stage)) {
      // `alive` is not kept, and the log must not end with a silence that is over.
      events.append({ ...event, stage, reason: after.run.reason });
    }
  });
  const timer = setInterval(() => {
    const at = now();
    // The clock was set, or the machine slept: what was heard before says nothing of how long nobody was heard.
    if (at < lookedAt || at - lookedAt > longestInterval) listeningSince = at;
    lookedAt = at;
    for (const { machine, run } of newlySilent(machines, look())) {
      events.append({ at: now(), machine, node: run.node, kind: 'silent' });
    }
    for (const machine of forgettable(machines, now(), defaultEventLimits.maxAge)) {
      machines.delete(machine);
    }
  }, lookInterval).unref();

  return {
    machines: () => machines,
    look,
    stop() {
      clearInterval(timer);
      unsubscribe();
    },
  };
}

function isReported(stage: RunStage): stage is RunStage & ReportedStage {
  return stage !== 'dhcp' && stage !== 'loader' && stage !== 'script';
}

function isAlive(event: Event): event is Extract<Event, { kind: 'stage' }> {
  return event.kind === 'stage' && event.stage === 'alive';
}
