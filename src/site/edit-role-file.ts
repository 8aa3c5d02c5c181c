import { type Document, isCollection, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import { AppError } from '../errors.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';

/**
 * A role file's text with other roles in it; every other byte, comments and order stay.
 * Refuses a text that is no YAML mapping (`unreadable-role-file`).
 */
export function setRole(text: string, roles: readonly string[]): string {
  const document = parseDocument(text, { stringKeys: true });
  if (document.errors.length > 0 || !isMap(document.contents)) {
    throw new AppError('unreadable-role-file', 'the role file is not valid YAML', 'rolecall check');
  }
  const edited = replaceInPlace(text, document, roles) ?? rewrite(document, roles);
  const written: unknown = parseDocument(edited, { schema: 'failsafe' }).toJS();
  const role = (written as { role?: unknown }).role;
  if (JSON.stringify([role].flat()) !== JSON.stringify(roles)) {
    throw new Error(`editing the role file gave ${JSON.stringify(role)}`);
  }
  return edited;
}

function renderRoles(roles: readonly string[]): string {
  return roles.length === 1 ? String(roles[0]) : `[${roles.join(', ')}]`;
}

/** Puts the new value where the old one stood on its line; a comment behind it keeps its column. */
function replaceInPlace(
  text: string,
  document: Document,
  roles: readonly string[],
): string | undefined {
  const value = document.getIn(['role'], true);
  const onOneLine = isScalar(value) ? value.value !== null : isSeq(value) && value.flow === true;
  if (!onOneLine || !(isScalar(value) || isCollection(value)) || !value.range) return undefined;
  if (value.anchor !== undefined || value.tag !== undefined) return undefined;
  const [start, end] = value.range;
  const old = text.slice(start, end);
  if (old.includes('\n')) return undefined;
  const fresh = renderRoles(roles);
  const rest = text.slice(end);
  const gap = /^ +(?=#)/.exec(rest)?.[0];
  if (gap === undefined) return text.slice(0, start) + fresh + rest;
  const padding = ' '.repeat(Math.max(1, gap.length + old.length - fresh.length));
  return text.slice(0, start) + fresh + padding + rest.slice(gap.length);
}

function rewrite(document: Document, roles: readonly string[]): string {
  const value = document.createNode(roles.length === 1 ? roles[0] : [...roles]);
  if (isSeq(value)) value.flow = true;
  document.set('role', value);
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}

/** What a new role file says. */
export interface NewRoleFile {
  /** By what the machine is known: any of them, at least one. */
  readonly id: {
    readonly mac?: MacAddress;
    readonly uuid?: string;
    readonly serial?: string;
    readonly port?: string;
  };
  readonly address: Ipv4;
  readonly roles: readonly string[];
  readonly tags: readonly string[];
}

/** Digits alone would be a number, and a port may hold what YAML takes for its own. */
const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;

function renderIdentity({ mac, uuid, serial, port }: NewRoleFile['id']): string {
  if (mac !== undefined && [uuid, serial, port].every((other) => other === undefined)) {
    return `mac: ${mac}`;
  }
  const parts = [
    mac && `mac: ${mac}`,
    uuid && `uuid: ${quoted(uuid)}`,
    serial && `serial: ${quoted(serial)}`,
    port && `port: ${quoted(port)}`,
  ];
  return `id: {${parts.filter((part) => part !== undefined).join(', ')}}`;
}

/** The text of a new role file in the short form; one NIC. */
export function renderNewRoleFile(file: NewRoleFile): string {
  return [
    '# Change role:, reboot the machine, and it comes back as something else.',
    '',
    renderIdentity(file.id),
    `address: ${file.address}`,
    `role: ${renderRoles(file.roles)}`,
    ...(file.tags.length > 0 ? [`tags: [${file.tags.join(', ')}]`] : []),
    '',
  ].join('\n');
}
