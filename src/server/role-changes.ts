import type { Site } from '../site/site.ts';
import type { Machines } from '../state/fold-events.ts';
import type { JournalEntry } from './journal.ts';

/**
 * The nodes that an edit gave other roles, by their first MAC; those whose role files name none by the machine that
 * was the node last, and not at all where none was.
 */
export function roleChanges(
  before: Site,
  after: Site,
  machines: Machines,
): readonly JournalEntry[] {
  const last = (name: string) =>
    [...machines.values()]
      .filter(({ run }) => run.node === name)
      .toSorted((a, b) => b.run.heardAt - a.run.heardAt)[0]?.machine;
  return [...after.nodes.values()].flatMap((node) => {
    const old = before.nodes.get(node.name);
    const machine = node.id.macs[0] ?? last(node.name);
    if (!old || !machine || old.roles.join() === node.roles.join()) return [];
    return [{ machine, node: node.name, kind: 'role-changed', from: old.roles, to: node.roles }];
  });
}
