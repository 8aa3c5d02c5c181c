import { dataHeader } from './tftp-packet.ts';

/** The DATA packet of a block, which counts from 1 without roll-over. */
export type DataPackets = (block: number) => Uint8Array;

/**
 * What firmware and loaders ask for: RFC 1350 and shim; GRUB; PXE ROMs whose UNDI adds headers of its own;
 * iPXE; Intel's PXE ROMs; EDK2 and U-Boot.
 */
const commonBlockSizes: ReadonlySet<number> = new Set([512, 1024, 1408, 1428, 1432, 1456, 1468]);

/** By file and block size: machines that boot at once ask for the same. */
const shared = new WeakMap<Uint8Array, Map<number, Uint8Array[]>>();

/**
 * The DATA packets of a file in memory, the bytes as they go on the wire. Those of common block sizes are
 * made once for all transfers; others are made anew each time, so that odd requests hold no memory.
 */
export function dataPackets(content: Uint8Array, blockSize: number): DataPackets {
  const make = (block: number) => makePacket(content, blockSize, block);
  if (!commonBlockSizes.has(blockSize)) return make;
  const bySize = shared.get(content) ?? new Map<number, Uint8Array[]>();
  shared.set(content, bySize);
  const packets = bySize.get(blockSize) ?? [];
  bySize.set(blockSize, packets);
  return (block) => {
    packets[block] ??= make(block);
    return packets[block];
  };
}

function makePacket(content: Uint8Array, blockSize: number, block: number): Uint8Array {
  const start = (block - 1) * blockSize;
  return Buffer.concat([dataHeader(block), content.subarray(start, start + blockSize)]);
}
