import { digestOf } from '../digest.ts';

const first = 1;
const count = 1000;

/**
 * A number for each volume, from its name, so that another volume changes none: DRBD's minor number, and
 * its port counted from {@link replicationPort}. Two names that fall on one number: the later one of the
 * alphabet takes the next free.
 */
export function volumeNumbers(names: Iterable<string>): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>();
  const taken = new Set<number>();
  for (const name of [...names].sort()) {
    let number = Number.parseInt(digestOf(`volume ${name}`).slice(0, 8), 16) % count;
    while (taken.has(number)) number = (number + 1) % count;
    taken.add(number);
    numbers.set(name, first + number);
  }
  return numbers;
}

/** TCP port of a volume's replication. */
export function replicationPort(number: number): number {
  return 7788 + number;
}

/** One UUID per volume of a site, by which NFS clients know the file system on either node (exports(5), fsid). */
export function fileSystemId(site: string, volume: string): string {
  const hex = digestOf(`rolecall volume ${site} ${volume}`).slice(0, 32);
  const uuid = `${hex.slice(0, 12)}4${hex.slice(13, 16)}a${hex.slice(17)}`;
  return uuid.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
