import { readFile } from 'node:fs/promises';
import type { Accelerator } from './qemu-args.ts';
import type { VmSpec } from './vm-spec.ts';

/** Which guests the machine can carry, and which it cannot, in the lab's order. */
export interface MemoryBudget {
  readonly fit: readonly VmSpec[];
  readonly left: readonly VmSpec[];
  /** MiB that all of them together would need. */
  readonly needed: number;
}

/** MiB that stay for the boot server and the host itself. */
const reserve = 768;

/** MiB of the host that one guest takes: its own, and QEMU's (the translation buffer under TCG). */
export function guestCost(spec: VmSpec, accelerator: Accelerator): number {
  return spec.memory + (accelerator === 'tcg' ? 320 : 96) + (spec.firmware === 'uefi' ? 32 : 0);
}

/**
 * Takes guests in order as long as `available` MiB carry them. Those that are of no use without others, by
 * `needs`, are taken with them or not at all; what is smaller may still find room behind them.
 */
export function planMemory(
  guests: readonly VmSpec[],
  available: number,
  accelerator: Accelerator,
  needs: (name: string) => readonly string[] = () => [],
): MemoryBudget {
  const costOf = (some: readonly VmSpec[]) =>
    some.reduce((sum, guest) => sum + guestCost(guest, accelerator), 0);
  const fit = new Set<VmSpec>();
  for (const guest of guests) {
    const others = needs(guest.name);
    const group = guests.filter((g) => !fit.has(g) && (g === guest || others.includes(g.name)));
    if (!fit.has(guest) && reserve + costOf([...fit, ...group]) <= available) {
      for (const member of group) fit.add(member);
    }
  }
  return {
    fit: guests.filter((guest) => fit.has(guest)),
    left: guests.filter((guest) => !fit.has(guest)),
    needed: reserve + costOf(guests),
  };
}

/** MiB that programs can have without swapping: `MemAvailable` of proc_meminfo(5). */
export async function availableMemory(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  return Math.floor(Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) / 1024);
}
