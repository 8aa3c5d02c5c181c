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

/** Takes guests in order as long as `available` MiB carry them. */
export function planMemory(
  guests: readonly VmSpec[],
  available: number,
  accelerator: Accelerator,
): MemoryBudget {
  const costs = guests.map((guest) => guestCost(guest, accelerator));
  const sums = costs.map((_, i) => costs.slice(0, i + 1).reduce((a, b) => a + b, reserve));
  return {
    fit: guests.filter((_, i) => (sums[i] ?? 0) <= available),
    left: guests.filter((_, i) => (sums[i] ?? 0) > available),
    needed: sums.at(-1) ?? reserve,
  };
}

/** MiB that programs can have without swapping: `MemAvailable` of proc_meminfo(5). */
export async function availableMemory(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  return Math.floor(Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) / 1024);
}
