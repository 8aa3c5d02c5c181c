import {
  createLeaseBatch,
  createLeaseTable,
  type Lease,
  type LeaseStore,
} from '../src/state/leases.ts';

/** A lease store without a disk; `write` is told of what would go to disk together, and may throw. */
export function memoryLeases(write: (leases: readonly Lease[]) => void = () => {}): LeaseStore {
  const table = createLeaseTable();
  const batch = () =>
    createLeaseBatch(table, (changed) => write([...changed.values()].flatMap((l) => l ?? [])));
  return {
    ...table,
    batch,
    put(lease) {
      const only = batch();
      only.put(lease);
      only.commit();
    },
  };
}
