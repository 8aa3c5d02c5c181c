import { type Selector, type Site, selectNodes } from './site.ts';

/** What an edit of role files means across nodes, one sentence each: who joins and leaves services and volumes. */
export function describeEdit(before: Site, after: Site): readonly string[] {
  const lines: string[] = [];
  const compare = (what: string, old: Selector | undefined, now: Selector) => {
    const from = old ? selectNodes(before, old) : [];
    const to = selectNodes(after, now);
    const left = from.filter((name) => !to.includes(name));
    const joined = to.filter((name) => !from.includes(name));
    if (left.length > 0) lines.push(`${left.join(', ')} leaves ${what}`);
    if (joined.length > 0) lines.push(`${joined.join(', ')} joins ${what}`);
  };
  for (const [name, service] of after.services) {
    const old = before.services.get(name);
    compare(`the servers of service ${name}`, old?.servers, service.servers);
    compare(`the balancers of service ${name}`, old?.balancers, service.balancers);
  }
  for (const [name, volume] of after.volumes) {
    compare(`the clients of volume ${name}`, before.volumes.get(name)?.clients, volume.clients);
  }
  return lines;
}
