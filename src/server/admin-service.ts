import { formatPort } from '../boot/switch-port.ts';
import type { AdminService } from '../http/admin-service.ts';
import type { MacAddress } from '../net/mac.ts';
import type { BootTrace } from '../pxe/boot-trace.ts';
import { diagnoseBoot } from '../pxe/diagnose-boot.ts';
import { packPcap } from '../pxe/pcap.ts';
import { heldImages } from '../state/held-images.ts';
import { type NodeDetail, statusOf } from '../state/node-status.ts';
import type { State } from '../state/state.ts';
import type { Follower } from './follow-sets.ts';
import type { Journal } from './journal.ts';
import type { SiteInForce } from './site-in-force.ts';
import type { VolumeService } from './volume-service.ts';

export interface AdminServiceParts {
  readonly state: State;
  readonly journal: Journal;
  readonly version: string;
  readonly site: SiteInForce;
  readonly trace: BootTrace;
  readonly follower: Follower;
  readonly volumes: VolumeService;
}

/** What console, API and metrics show. */
export function createAdminService(parts: AdminServiceParts): AdminService {
  const { state, journal, site, follower, trace } = parts;
  const { generation } = site;

  /** A machine with several cards may ask by each of them; what it asked by is listed after those of its role file. */
  function portOf({ mac }: NodeDetail): Pick<NodeDetail, 'port'> {
    const ports = mac.map((address) => state.known.of(address as MacAddress)?.port);
    const last = ports.findLast((port) => port !== undefined);
    return last === undefined ? {} : { port: formatPort(last) };
  }

  /** A role that changes is told by itself. */
  function withDue(node: NodeDetail): NodeDetail {
    const isUp = node.stage === 'ready' || node.stage === 'failed';
    const due = isUp ? follower.due(node.bootId) : undefined;
    if (!due) return node;
    const said = node.nextRole !== undefined && due.kind === 'reboot';
    const reason = said ? node.reason : [node.reason, due.reason].filter(Boolean).join('; ');
    return { ...node, due, reason };
  }

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
      return statusOf(fleet.site, journal.machines(), look)
        .map(withDue)
        .map((node) => ({
          ...node,
          ...(node.reason === '' ? { reason: notes.get(node.name) ?? '' } : {}),
          ...portOf(node),
        }));
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
    volumes: parts.volumes.list,
    heldImages: () => heldImages(state.boots),
    siteProblem: site.problem,
    writeTrouble: state.writes.trouble,
    subscribe(listener) {
      const ends = [
        state.events.subscribe((event) => listener({ kind: 'event', event })),
        site.subscribe(() => listener({ kind: 'site' })),
        state.writes.subscribe(() => listener({ kind: 'state' })),
      ];
      return () => {
        for (const end of ends) end();
      };
    },
  };
}
