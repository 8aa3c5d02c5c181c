import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeStatus } from '../state/event.ts';
import type { Lab } from './lab.ts';
import { hasArrived, isRowOf } from './lab-view.ts';
import type { Accelerator } from './qemu-args.ts';
import type { VmSpec } from './vm-spec.ts';

/** Milliseconds after which a boot that has come to no end holds up the next ones no more. */
const patience = 240_000;

/** How many guests may boot at a time: under emulation each takes most of a processor. */
export function bootsAtOnce(accelerator: Accelerator): number {
  return accelerator === 'tcg' ? 2 * availableParallelism() : Number.POSITIVE_INFINITY;
}

/** How many more machines may be switched on, where so many may boot at a time. */
export function freeTurns(
  atOnce: number,
  booting: readonly { readonly since: number; readonly status: NodeStatus | undefined }[],
  now: number,
): number {
  const busy = booting.filter(({ since, status }) => !hasArrived(status) && now - since < patience);
  return Math.max(0, atOnce - busy.length);
}

/**
 * Switches guests on one after the other while others boot: all at once would be later, each of them. Tells
 * the names that are left after each. Ends early by `over`.
 */
export async function switchOnInTurn(
  lab: Pick<Lab, 'start' | 'status' | 'guest'>,
  plan: { readonly guests: readonly VmSpec[]; readonly inTurn: readonly string[]; atOnce: number },
  onTurn: (left: readonly string[]) => void,
  over?: AbortSignal,
): Promise<void> {
  const since = new Map<VmSpec, number>();
  for (const guest of plan.guests) if (lab.guest(guest.name)) since.set(guest, Date.now());
  let left = plan.inTurn;
  for (; left.length > 0 && !over?.aborted; await sleep(500)) {
    const rows = await lab.status().catch(() => []);
    const booting = [...since].map(([guest, at]) => {
      return { since: at, status: rows.find((row) => isRowOf(row, guest)) };
    });
    for (const name of left.slice(0, freeTurns(plan.atOnce, booting, Date.now()))) {
      await lab.start(name);
      const guest = plan.guests.find((g) => g.name === name);
      if (guest) since.set(guest, Date.now());
      left = left.filter((other) => other !== name);
      onTurn(left);
    }
  }
}
