import type { Problem } from '../errors.ts';
import { type Service, type SiteNode, selectNodes } from '../site/site.ts';
import type { Fleet } from './fleet.ts';
import { renderContents } from './render-contents.ts';

/**
 * Servers of a service on whose port none of their roles listens: they would be asked, and refuse. Only
 * where every role of the node says on what it listens.
 */
export function unservedPorts(fleet: Fleet): readonly Problem[] {
  const known = new Map<string, ReadonlySet<string> | undefined>();
  const portsOf = (node: SiteNode) => {
    if (!known.has(node.name)) known.set(node.name, listeningPorts(fleet, node));
    return known.get(node.name);
  };
  return [...fleet.site.services.values()].flatMap((service) =>
    selectNodes(fleet.site, service.servers).flatMap((name) => {
      const node = fleet.site.nodes.get(name);
      const open = node && portsOf(node);
      if (!node || !open) return [];
      return service.ports
        .map((port) => `${service.protocol}/${port}`)
        .filter((port) => !open.has(port))
        .map((port) => unserved(service, node, port, open));
    }),
  );
}

function listeningPorts(fleet: Fleet, node: SiteNode): ReadonlySet<string> | undefined {
  const { roles, listens } = renderContents(fleet, node);
  if (roles.some((role) => !listens.has(role.name))) return undefined;
  return new Set([...listens.values()].flat());
}

function unserved(
  service: Service,
  node: SiteNode,
  port: string,
  open: ReadonlySet<string>,
): Problem {
  return {
    file: 'site.yaml',
    line: 0,
    path: `services.${service.name}.port`,
    message: `${node.name} serves ${service.name}, and none of its roles (${node.roles.join(', ')}) listens on ${port}`,
    hint: `it listens on ${[...open].join(', ')}; other servers, another port, or listens: in role.yaml`,
  };
}
