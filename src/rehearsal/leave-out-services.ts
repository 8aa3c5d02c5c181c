import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { deadServices } from '../lab/dead-services.ts';
import { loadSite } from '../site/load-site.ts';

/**
 * Takes the services of which no server is `running` out of a copy of a site: a balancer is not ready as long as
 * one of its services is dead. Gives back a line for each.
 */
export async function leaveOutServices(
  folder: string,
  running: ReadonlySet<string>,
): Promise<readonly string[]> {
  const loaded = await loadSite(folder);
  // Whoever loads it next says what is wrong with it.
  if (!loaded.ok) return [];
  const site = loaded.value;
  const dead = deadServices(site, (node) => running.has(node)).map(({ service }) => service);
  if (dead.length === 0) return [];
  const file = join(folder, 'site.yaml');
  const document = parseDocument(await readFile(file, 'utf8'));
  for (const { name } of dead) document.deleteIn(['services', name]);
  if (dead.length === site.services.size) document.delete('services');
  await writeFile(file, document.toString({ lineWidth: 0 }));
  return dead.map(
    ({ name }) => `service ${name}: left out of the lab's copy, as none of its servers is started`,
  );
}
