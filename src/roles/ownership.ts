import type { ImageFacts } from './image-facts.ts';

/** Who owns a file, as ids, or the name that the image does not know. */
export type Ownership =
  | { readonly ok: true; readonly uid: number; readonly gid: number }
  | { readonly ok: false; readonly message: string };

/** Ids of an owner and a group by name or number; the default is root, and the owner's own group. */
export function resolveOwnership(
  rule: { readonly owner?: string; readonly group?: string },
  facts: ImageFacts,
): Ownership {
  const user = findUser(rule.owner ?? 'root', facts);
  if (!user) return { ok: false, message: `the image has no user ${rule.owner}` };
  const gid = rule.group === undefined ? user.gid : findGroup(rule.group, facts);
  if (gid === undefined) return { ok: false, message: `the image has no group ${rule.group}` };
  return { ok: true, uid: user.uid, gid };
}

function findUser(name: string, facts: ImageFacts) {
  if (name === 'root') return { uid: 0, gid: 0 };
  return /^\d+$/.test(name) ? { uid: Number(name), gid: 0 } : facts.users[name];
}

function findGroup(name: string, facts: ImageFacts): number | undefined {
  if (name === 'root') return 0;
  return /^\d+$/.test(name) ? Number(name) : facts.groups[name];
}
