import type { MacAddress } from '../net/mac.ts';
import type { BootRecord, BootStore } from '../state/boots.ts';

/**
 * Of which boot a request from this address is. Beside another DHCP server the loader may have another
 * address than Linux will have, and both may be somebody else's of an earlier day.
 */
export function bootAt(
  boots: Pick<BootStore, 'latestAt' | 'latestOf'>,
  machineAt: (address: string) => MacAddress | undefined,
  address: string,
): BootRecord | undefined {
  const machine = machineAt(address);
  const byAddress = boots.latestAt(address);
  const byMachine = machine && boots.latestOf(machine);
  if (!byAddress || !byMachine) return byAddress ?? byMachine;
  return byMachine.createdAt > byAddress.createdAt ? byMachine : byAddress;
}
