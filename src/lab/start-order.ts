import { type Site, type SiteNode, selectNodes } from '../site/site.ts';

/** Names of nodes by what a lab is the poorer without, and where among them machines without a role file go. */
export interface StartOrder {
  readonly beforeSpares: readonly string[];
  readonly afterSpares: readonly string[];
}

/**
 * In which order nodes are worth the memory of a PC: services that several nodes serve, their servers and
 * then their balancers; pairs that hold volumes; nodes whose roles another one has as well. Spares come
 * before the rest: they can become what has nobody to stand in for it.
 */
export function startOrder(site: Site): StartOrder {
  const first = [
    ...[...site.services.values()].flatMap(({ servers, balancers }) => {
      const serving = selectNodes(site, servers);
      return serving.length > 1 ? [...serving, ...selectNodes(site, balancers)] : [];
    }),
    ...[...site.volumes.values()].flatMap(({ nodes }) => nodes),
    ...[...site.nodes.values()].filter((node) => hasTwin(site, node)).map(({ name }) => name),
  ];
  const names = [...site.nodes.keys()];
  // A site of single machines is what these are.
  const beforeSpares = first.length > 0 ? [...new Set(first)] : names;
  return { beforeSpares, afterSpares: names.filter((name) => !beforeSpares.includes(name)) };
}

function hasTwin(site: Site, { name, roles }: SiteNode): boolean {
  return [...site.nodes.values()].some(
    (other) => other.name !== name && other.roles.join() === roles.join(),
  );
}

/** The nodes with which this one holds a volume: without them it holds none. */
export function holdsWith(site: Site, node: string): readonly string[] {
  const pairs = [...site.volumes.values()].map(({ nodes }) => nodes);
  const others = pairs.filter((nodes) => nodes.includes(node)).flat();
  return [...new Set(others)].filter((name) => name !== node);
}
