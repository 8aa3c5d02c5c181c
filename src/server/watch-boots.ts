import { parseDigest } from '../digest.ts';
import type { MacAddress } from '../net/mac.ts';
import { type BootTrace, createBootTrace } from '../pxe/boot-trace.ts';
import { type Diagnosis, diagnoseBoot } from '../pxe/diagnose-boot.ts';
import type { WirePacket } from '../pxe/wire-packet.ts';
import { type BootRecord, partOf } from '../state/boots.ts';
import type { State } from '../state/state.ts';
import type { Journal } from './journal.ts';

/** Watches every boot by its packets, and says when one does not go on. */
export interface BootWatch {
  /** For `onPacket` of the servers. */
  readonly note: (packet: WirePacket) => void;
  readonly trace: BootTrace;
  /** Looks once; the timer of `startBootWatch` does it every two seconds. */
  look(): void;
  stop(): void;
}

export interface BootWatchParts {
  readonly boots: Pick<State['boots'], 'latestAt'>;
  readonly journal: Pick<Journal, 'add' | 'machines'>;
  readonly now: () => number;
}

const lookInterval = 2000;

/** A rack without power is one fault, not a log of thousands. */
const warningsPerMinute = 30;

/** Starts to watch; a boot that is stuck is said once, by a `warning` of its machine. */
export function startBootWatch(parts: BootWatchParts): BootWatch {
  const { boots, journal, now } = parts;
  const trace = createBootTrace();
  /** Until when a boot with its last packet at `at` needs no look. */
  const looked = new Map<MacAddress, { at: number; first: number; dueAt: number; said: string }>();
  let minute = { start: 0, warnings: 0 };

  function look(): void {
    const seen = new Set<MacAddress>();
    for (const { machine, packets } of trace.boots()) {
      seen.add(machine);
      const [first, at] = [packets[0]?.at ?? 0, packets.at(-1)?.at ?? 0];
      const before = looked.get(machine);
      if (before?.at === at && now() < before.dueAt) continue;
      const found = diagnoseBoot(packets, now());
      const isStuck = found.state === 'stuck';
      const said = before?.first === first ? before.said : '';
      const says = isStuck && said !== found.verdict && warn(machine, found);
      const saidNow = says ? found.verdict : said;
      looked.set(machine, { at, first, dueAt: nextLook(found, saidNow), said: saidNow });
    }
    for (const machine of looked.keys()) if (!seen.has(machine)) looked.delete(machine);
  }

  /** Without another packet there is nothing new to say, but for what was one warning too many. */
  function nextLook({ state, dueAt, verdict }: Diagnosis, said: string): number {
    if (state === 'waiting') return dueAt;
    return state === 'stuck' && said !== verdict ? minute.start + 60_000 : Number.POSITIVE_INFINITY;
  }

  function warn(machine: MacAddress, { verdict, hint }: Diagnosis): boolean {
    // The clock may have been set back.
    if (Math.abs(now() - minute.start) >= 60_000) minute = { start: now(), warnings: 0 };
    if (minute.warnings >= warningsPerMinute) return false;
    minute.warnings += 1;
    const node = journal.machines().get(machine)?.run.node ?? '';
    journal.add({ machine, node, kind: 'warning', reason: `${verdict}: ${hint}`, stalled: true });
    return true;
  }

  const timer = setInterval(look, lookInterval).unref();
  return {
    note: (packet) => trace.note(named(packet, boots)),
    trace,
    look,
    stop: () => clearInterval(timer),
  };
}

/** An image's path holds a digest; the boot that the machine began says which part of it that is. */
function named(packet: WirePacket, boots: BootWatchParts['boots']): WirePacket {
  if (packet.protocol !== 'http') return packet;
  const found = /^\/+(?:images|boot\/+overlay)\/+([0-9a-f]{64})$/.exec(packet.exchange.target)?.[1];
  const digest = parseDigest(found ?? '');
  const record: BootRecord | undefined = digest && boots.latestAt(packet.remote.address);
  const part = record && digest && partOf(record, digest);
  return part ? { ...packet, exchange: { ...packet.exchange, part } } : packet;
}
