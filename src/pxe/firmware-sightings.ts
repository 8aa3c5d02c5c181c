import type { MacAddress } from '../net/mac.ts';
import { createLastMachines } from '../state/last-machines.ts';
import type { DhcpClient } from './identify-client.ts';

/** Milliseconds after the fetch of our loader in which an iPXE on that machine counts as ours. */
const loaderTime = 120_000;

/** When each machine's firmware last asked, so that a reboot is not taken for the loader it just fetched. */
export interface FirmwareSightings {
  note(client: DhcpClient, at: number): void;
  /** Whether an iPXE that asks now is the loader that this machine fetched, though it does not say so. */
  isOurLoader(mac: MacAddress, loaderFetchedAt: number | undefined, now: number): boolean;
}

/** Remembers the last `limit` machines. */
export function createFirmwareSightings(limit = 8192): FirmwareSightings {
  const askedAt = createLastMachines<number>(limit);
  return {
    note({ mac, via }, at) {
      if (via !== 'pxe' && via !== 'http') return;
      askedAt.set(mac, at);
    },
    isOurLoader(mac, loaderFetchedAt, now) {
      if (loaderFetchedAt === undefined || now - loaderFetchedAt > loaderTime) return false;
      return (askedAt.get(mac) ?? 0) <= loaderFetchedAt;
    },
  };
}
