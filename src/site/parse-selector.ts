import { suggestion } from './did-you-mean.ts';
import type { Selector } from './site.ts';
import type { YamlPlace } from './yaml-file.ts';

/** What selectors may choose from; undefined sets are not known, and go unchecked. */
export interface Choices {
  readonly nodes: readonly string[];
  readonly roles: readonly string[] | undefined;
  readonly tags: readonly string[] | undefined;
}

/** Which nodes: `[web1, web2]`, `{role: web}` or `{tag: edge}`; refuses one that chooses nobody. */
export function readSelector(place: YamlPlace, choices: Choices): Selector | undefined {
  if (!place.isMapping) return readNames(place, choices);
  const found = place.fields(['role', 'tag']);
  if (!found) return undefined;
  const at = found.role ?? found.tag;
  if (!at || (found.role && found.tag)) {
    return place.problem(
      `${place.name} needs one of role and tag`,
      `such as ${place.name}: {role: web}`,
    );
  }
  const name = at.text('web');
  if (name === undefined) return undefined;
  const kind = found.role ? 'role' : 'tag';
  const known = kind === 'role' ? choices.roles : choices.tags;
  if (known && !known.includes(name)) {
    at.problem(`no node has ${kind} ${name}`, suggestion(name, known, `${kind}s that nodes have`));
  }
  return kind === 'role' ? { kind, role: name } : { kind, tag: name };
}

function readNames(place: YamlPlace, choices: Choices): Selector | undefined {
  const items = place.items();
  const names = readNodeNames(place, choices);
  if (items.length > 0) return names.length === items.length ? { kind: 'names', names } : undefined;
  return place.problem(`${place.name} chooses no node`, `a list of names, {role: …} or {tag: …}`);
}

/** Names of nodes that exist, none twice. */
export function readNodeNames(place: YamlPlace, choices: Choices): readonly string[] {
  const names: string[] = [];
  for (const item of place.items()) {
    const name = item.text('web1');
    if (name === undefined) continue;
    if (!choices.nodes.includes(name)) {
      item.problem(`there is no node ${name}`, suggestion(name, choices.nodes, 'nodes are'));
    } else if (names.includes(name)) {
      item.problem(`node ${name} is listed twice`, 'once is enough');
    } else names.push(name);
  }
  return names;
}
