import type { AdminService, SiteProblem } from '../http/services.ts';
import { statusOf } from '../state/node-status.ts';
import type { State } from '../state/state.ts';
import type { Generation } from './generation.ts';
import type { Journal } from './journal.ts';

export interface AdminServiceParts {
  readonly state: State;
  readonly journal: Journal;
  readonly version: string;
  /** Calls when the site on disk was read again; gives back what ends that. */
  readonly onSiteChange: (listener: () => void) => () => void;
  readonly generation: () => Generation;
  readonly siteProblem: () => SiteProblem | undefined;
}

/** What console, API and metrics show. */
export function createAdminService(parts: AdminServiceParts): AdminService {
  const { state, journal, generation } = parts;
  return {
    facts: () => ({
      version: parts.version,
      site: generation().fleet.site.name,
      generation: generation().number,
      startedAt: journal.listeningSince,
    }),
    nodes: () =>
      statusOf(generation().fleet.site, journal.machines(), {
        now: Date.now(),
        listeningSince: journal.listeningSince,
      }),
    events: (query) => state.events.list(query),
    boots: (name) =>
      state.boots
        .list()
        .filter((boot) => boot.node === name)
        .toReversed(),
    siteProblem: parts.siteProblem,
    subscribe(listener) {
      const ends = [
        state.events.subscribe((event) => listener({ kind: 'event', event })),
        parts.onSiteChange(() => listener({ kind: 'site' })),
      ];
      return () => {
        for (const end of ends) end();
      };
    },
  };
}
