import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { loadSite } from '../site/load-site.ts';
import type { TestGuest } from './plan-image-test.ts';

/**
 * Gives guests of a copy of a site the roles that they take over from others, with those nodes' parameters.
 * Gives back a line for each.
 */
export async function lendRoles(
  folder: string,
  guests: readonly TestGuest[],
): Promise<readonly string[]> {
  const loaded = await loadSite(folder);
  if (!loaded.ok) return [];
  const { nodes } = loaded.value;
  const notes: string[] = [];
  for (const { node, roles, added } of guests) {
    const file = nodes.get(node)?.file;
    if (file === undefined || added.length === 0) continue;
    const document = parseDocument(await readFile(join(folder, file), 'utf8'));
    document.set('role', roles);
    for (const { role, from } of added) {
      const params = nodes.get(from)?.params[role];
      if (params !== undefined) document.setIn(['params', role], params);
      notes.push(`${node} plays ${role} of ${from} too`);
    }
    await writeFile(join(folder, file), document.toString({ lineWidth: 0 }));
  }
  return notes;
}
