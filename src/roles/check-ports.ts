import type { Problem } from '../errors.ts';
import { count } from '../render-problems.ts';
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
  return [...fleet.site.services.values()].flatMap((service) => {
    const servers = selectNodes(fleet.site, service.servers).flatMap((name) => {
      const node = fleet.site.nodes.get(name);
      const open = node && portsOf(node);
      return node && open ? [{ node, open }] : [];
    });
    return service.ports.flatMap((number) => {
      const port = `${service.protocol}/${number}`;
      const deaf = servers.filter(({ open }) => !open.has(port));
      const [first] = deaf;
      if (!first) return [];
      return [unserved(service, port, first.node, deaf.length - 1, first.open)];
    });
  });
}

function listeningPorts(fleet: Fleet, node: SiteNode): ReadonlySet<string> | undefined {
  const { roles, listens } = renderContents(fleet, node);
  if (roles.some((role) => !listens.has(role.name))) return undefined;
  return new Set([...listens.values()].flat());
}

/** One line for all servers: whoever forgot a port forgot it for each. */
function unserved(
  service: Service,
  port: string,
  node: SiteNode,
  others: number,
  open: ReadonlySet<string>,
): Problem {
  const who = others === 0 ? node.name : `${node.name} and ${count(others, 'other node')}`;
  return {
    file: 'site.yaml',
    line: 0,
    path: `services.${service.name}.port`,
    message: `nobody answers at ${who}, which serve${others === 0 ? 's' : ''} ${service.name}, on ${port}: none of the roles listens there`,
    hint: `${node.name} (${node.roles.join(', ')}) listens on ${[...open].join(', ')}; other servers, another port, or listens: in role.yaml`,
  };
}
