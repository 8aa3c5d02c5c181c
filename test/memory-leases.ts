import {
  createLeaseBatch,
  createLeaseTable,
  type Lease,
  type LeaseStore,
} from '../src/state/leases.ts';

/**
 * A lease store without a disk; `write` is told of what would be written together, and may throw; `sync` is waited for
 * as for a disk.
 */
export function memoryLeases(
  write: (leases: readonly Lease[]) => void = () => {},
  sync: () => Promise<void> = async () => {},
): LeaseStore {
  const table = createLeaseTable();
  const batch = () =>
    createLeaseBatch(table, (changed) => write([...changed.values()].flatMap((l) => l ?? [])));
  return {
    ...table,
    batch,
    sync,
    put(lease) {
      const only = batch();
      only.put(lease);
      only.commit();
    },
  };
}
