import type { Problem } from '../errors.ts';
import type { SiteNode } from '../site/site.ts';

/** What is wrong with an entry of `listens` once it is rendered: ports such as `tcp/80`, separated by blanks. */
export function notAPort(rendered: string): string | undefined {
  const wrong = portsOf(rendered).find((word) => {
    const port = /^(?:tcp|udp)\/([1-9]\d{0,4})$/.exec(word)?.[1];
    return port === undefined || Number(port) > 65_535;
  });
  return wrong === undefined ? undefined : `${wrong} is no protocol and port`;
}

/** The ports of a rendered entry; none where the template gave nothing. */
export function portsOf(rendered: string): readonly string[] {
  return rendered.split(/\s+/).filter(Boolean);
}

/** Roles of a node of which two listen on one port: whichever starts last would not start. */
export function portClashes(
  node: SiteNode,
  listens: ReadonlyMap<string, readonly string[]>,
): readonly Problem[] {
  const owners = new Map<string, string>();
  return [...listens].flatMap(([role, ports]) =>
    ports.flatMap((port) => {
      const owner = owners.get(port) ?? role;
      owners.set(port, owner);
      if (owner === role) return [];
      return [
        {
          file: node.file,
          line: 0,
          path: 'role',
          message: `the roles ${owner} and ${role} both listen on ${port}`,
          hint: `give ${node.name} one of them, or another port to one where it has a parameter for it`,
        },
      ];
    }),
  );
}
