import type { Site } from '../site/site.ts';

/** Milliseconds between two words about one address. */
const patience = 3_600_000;

/** As many addresses as are remembered. */
const most = 1000;

export interface StrangeBootParts {
  readonly site: () => Site;
  readonly now: () => number;
  readonly log: (line: string) => void;
}

/**
 * What is called with the address of a node that reports a boot of which this server has no record: after the state
 * folder was lost or taken back from a backup, nodes run on of which nothing would be said otherwise. Tells the
 * operator, once an hour for each address.
 */
export function tellStrangeBoots({ site, now, log }: StrangeBootParts): (from: string) => void {
  const told = new Map<string, number>();
  return (from) => {
    const last = told.get(from);
    if (last !== undefined && now() - last < patience) return;
    // Oldest first: a word too many is better than memory without end.
    told.delete(from);
    const [oldest] = told.keys();
    if (told.size >= most && oldest !== undefined) told.delete(oldest);
    told.set(from, now());
    const nodes = [...site().nodes.values()];
    const node = nodes.find(({ links }) => links.some(({ address }) => address === from));
    log(
      `${node ? `${node.name} (${from})` : from} reports a boot that the state folder does not hold: it runs on and is not heard until it is rebooted`,
    );
  };
}
