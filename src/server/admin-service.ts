import type { AdminService } from '../http/admin-service.ts';
import type { BootTrace } from '../pxe/boot-trace.ts';
import { diagnoseBoot } from '../pxe/diagnose-boot.ts';
import { packPcap } from '../pxe/pcap.ts';
import { statusOf } from '../state/node-status.ts';
import type { State } from '../state/state.ts';
import type { Journal } from './journal.ts';
import type { SiteInForce } from './site-in-force.ts';

export interface AdminServiceParts {
  readonly state: State;
  readonly journal: Journal;
  readonly version: string;
  readonly site: SiteInForce;
  readonly trace: BootTrace;
}

/** What console, API and metrics show. */
export function createAdminService(parts: AdminServiceParts): AdminService {
  const { state, journal, site, trace } = parts;
  const { generation } = site;
  return {
    facts: () => ({
      version: parts.version,
      site: generation().fleet.site.name,
      generation: generation().number,
      startedAt: journal.listeningSince,
    }),
    nodes() {
      const { fleet, notes } = generation();
      const look = { now: Date.now(), listeningSince: journal.listeningSince };
      return statusOf(fleet.site, journal.machines(), look).map((node) =>
        node.reason === '' ? { ...node, reason: notes.get(node.name) ?? '' } : node,
      );
    },
    events: (query) => state.events.list(query),
    boots: (name) =>
      state.boots
        .list()
        .filter((boot) => boot.node === name)
        .toReversed(),
    lastBoot(machine) {
      const { packets = [], dropped = 0 } = trace.of(machine) ?? {};
      const now = Date.now();
      return { ...{ machine, at: now, packets, dropped }, diagnosis: diagnoseBoot(packets, now) };
    },
    capture(machine, since) {
      const packets = trace.of(machine)?.packets ?? [];
      return packPcap(packets.filter((packet) => packet.at >= since));
    },
    siteProblem: site.problem,
    subscribe(listener) {
      const ends = [
        state.events.subscribe((event) => listener({ kind: 'event', event })),
        site.subscribe(() => listener({ kind: 'site' })),
      ];
      return () => {
        for (const end of ends) end();
      };
    },
  };
}
