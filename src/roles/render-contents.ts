import type { Problem } from '../errors.ts';
import type { SiteNode } from '../site/site.ts';
import { type Fleet, roleFileName, rolesOf } from './fleet.ts';
import { notAPort, portClashes, portsOf } from './listening.ts';
import { mergeOverlay } from './merge-overlay.ts';
import { renderTemplate } from './render-template.ts';
import type { Role, RoleFile } from './role.ts';
import { checkParams, mergeParams, type Params } from './role-params.ts';
import { isHostName } from './shared-secret.ts';
import { createTemplateContext, type TemplateContext } from './template-context.ts';

/** What a node's roles write, as far as it needs no image. */
export interface RenderedContents {
  readonly roles: readonly Role[];
  readonly files: readonly RenderedContent[];
  /** Ready command by role. */
  readonly ready: ReadonlyMap<string, string>;
  /** MiB of RAM by role and folder of data: `mail /srv/mail`. */
  readonly memory: ReadonlyMap<string, number>;
  /** Disks by role and folder of data, where one holds it. */
  readonly disks: ReadonlyMap<string, string>;
  /** Host names by role and path of a secret: `mail /etc/ssl/private/mail.pem`. */
  readonly hosts: ReadonlyMap<string, readonly string[]>;
  /** Ports such as `tcp/80` by role; roles that do not say are left out. */
  readonly listens: ReadonlyMap<string, readonly string[]>;
  readonly problems: readonly Problem[];
}

export interface RenderedContent {
  readonly path: string;
  /** The first of the roles that write it; its rule for owner and mode holds. */
  readonly role: Role;
  /** Undefined for a link, whose target is `target`. */
  readonly content?: string | Uint8Array;
  readonly target?: string;
}

/** The key of {@link RenderedContents.memory}, {@link RenderedContents.disks} and {@link RenderedContents.hosts}. */
export function pathKey(role: Role, path: string): string {
  return `${role.name} ${path}`;
}

/**
 * Renders every text of a node's roles. Where roles or parameters do not fit together it says so and
 * renders nothing, as templates would only stumble over the same.
 */
export function renderContents(fleet: Fleet, node: SiteNode): RenderedContents {
  const roles = rolesOf(fleet, node);
  const { paths, problems: conflicts } = mergeOverlay(node, roles);
  const params = new Map<string, Params>();
  const problems: Problem[] = [...conflicts];
  for (const role of roles) {
    const checked = checkParams(role, mergeParams(fleet.site, node, role.name));
    params.set(role.name, checked.params);
    for (const { keys, message, hint } of checked.faults) {
      const path = ['params', role.name, ...keys].join('.');
      problems.push({ file: node.file, line: 0, path, message, hint });
    }
  }
  if (problems.length > 0) {
    const none = { ready: new Map(), hosts: new Map(), listens: new Map() };
    return { roles, files: [], ...none, memory: new Map(), disks: new Map(), problems };
  }
  const context = createTemplateContext(
    fleet.site,
    node,
    Object.fromEntries(params),
    fleet.siteTexts,
  );
  const text = (source: string, file: string, path = '') =>
    renderText(source, file, path, context, problems);
  const files = paths.flatMap(({ path, parts }): RenderedContent[] => {
    const [first] = parts;
    if (!first) return [];
    const { role, file } = first;
    if (file.kind === 'symlink') return [{ path, role, target: file.target ?? '' }];
    const contents = parts.map((part) => contentOf(fleet, part.role, part.file, text));
    const [only = ''] = contents;
    return [{ path, role, content: contents.length === 1 ? only : contents.map(asText).join('') }];
  });
  const ready = roles.map(
    (role) => [role.name, text(role.ready, roleFileName(role, 'role.yaml'), 'ready')] as const,
  );
  const memory = roles.flatMap((role) =>
    Object.entries(role.data).map(([folder, { memory }]) => {
      const file = roleFileName(role, 'role.yaml');
      const path = `data.${folder}.memory`;
      const rendered = text(memory, file, path);
      if (!/^[1-9]\d{0,6}$/.test(rendered)) {
        const message = `${JSON.stringify(rendered)} is no number of MiB`;
        problems.push({ file, line: 0, path, message, hint: 'such as 64' });
      }
      return [pathKey(role, folder), Number(rendered)] as const;
    }),
  );
  const disks = roles.flatMap((role) =>
    Object.entries(role.data).flatMap(([folder, { disk }]) => {
      const file = roleFileName(role, 'role.yaml');
      const path = `data.${folder}.disk`;
      const rendered = disk === undefined ? '' : text(disk, file, path);
      if (rendered === '') return [];
      if (!/^\/dev(\/[A-Za-z0-9_.:+-]+)+$/.test(rendered)) {
        const message = `${JSON.stringify(rendered)} is no disk`;
        problems.push({ file, line: 0, path, message, hint: 'such as /dev/disk/by-id/…' });
      }
      return [[pathKey(role, folder), rendered] as const];
    }),
  );
  const hosts = roles.flatMap((role) =>
    Object.entries(role.secrets).map(([path, secret]) => {
      const file = roleFileName(role, 'role.yaml');
      const at = `secrets.${path}.hosts`;
      const names = text(secret.hosts, file, at).split(/\s+/).filter(Boolean);
      const wrong = names.length === 0 ? '' : names.find((name) => !isHostName(name));
      if (wrong !== undefined) {
        const message = `${JSON.stringify(wrong)} is no host name`;
        problems.push({ file, line: 0, path: at, message, hint: 'such as mail.lab.example' });
      }
      return [pathKey(role, path), names] as const;
    }),
  );
  const listens = roles.flatMap((role) => {
    if (!role.listens) return [];
    const file = roleFileName(role, 'role.yaml');
    const ports = role.listens.flatMap((entry, i) => {
      const path = `listens.${i}`;
      const rendered = text(entry, file, path);
      const wrong = notAPort(rendered);
      if (wrong === undefined) return portsOf(rendered);
      problems.push({ file, line: 0, path, message: wrong, hint: 'such as tcp/80' });
      return [];
    });
    return [[role.name, [...new Set(ports)]] as const];
  });
  problems.push(...portClashes(node, new Map(listens)));
  return {
    ...{ roles, files, problems, listens: new Map(listens) },
    ...{ ready: new Map(ready), hosts: new Map(hosts) },
    ...{ memory: new Map(memory), disks: new Map(disks) },
  };
}

function contentOf(
  fleet: Fleet,
  role: Role,
  file: RoleFile,
  text: (source: string, file: string) => string,
): string | Uint8Array {
  const source = fleet.sources.get(file.source);
  if (source === undefined) throw new Error(`the source ${file.source} was not read`);
  if (file.kind !== 'template') return source;
  return text(asText(source), roleFileName(role, `files${file.path}.ejs`));
}

function renderText(
  source: string,
  file: string,
  path: string,
  context: TemplateContext,
  problems: Problem[],
): string {
  const rendered = renderTemplate(source, file, { ...context });
  if (rendered.ok) return rendered.text;
  problems.push({
    file,
    // Inside role.yaml the template's own lines say nothing.
    line: path === '' ? rendered.line : 0,
    path,
    message: rendered.message,
    hint: 'what a template sees is in docs/roles.md; a plain <% is written <%%',
  });
  return '';
}

/** A file's content as text. */
export function asText(content: string | Uint8Array): string {
  return typeof content === 'string' ? content : Buffer.from(content).toString('utf8');
}
