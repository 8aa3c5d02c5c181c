import type { Site } from '../site/site.ts';
import type { JournalEntry } from './journal.ts';

/** The nodes that an edit gave other roles, by their first MAC; nodes known by no MAC are left out. */
export function roleChanges(before: Site, after: Site): readonly JournalEntry[] {
  return [...after.nodes.values()].flatMap((node) => {
    const old = before.nodes.get(node.name);
    const machine = node.id.macs[0];
    if (!old || !machine || old.roles.join() === node.roles.join()) return [];
    return [{ machine, node: node.name, kind: 'role-changed', from: old.roles, to: node.roles }];
  });
}
