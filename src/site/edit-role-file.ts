import {
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type Pair,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import { AppError } from '../errors.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';

/**
 * A role file's text with other roles in it; every other byte, comments and order stay. What is written inside a
 * list of roles that goes, goes with it. Refuses a text that is no YAML mapping, or that repeats its role by an
 * alias (`unreadable-role-file`).
 */
export function setRole(text: string, roles: readonly string[]): string {
  const document = parseDocument(text, { stringKeys: true, keepSourceTokens: true });
  if (document.errors.length > 0 || !isMap(document.contents)) {
    throw new AppError('unreadable-role-file', 'the role file is not valid YAML', 'rolecall check');
  }
  const pair = pairOf(document.contents);
  const edited = pair
    ? (replaceOnItsLine(text, pair, roles) ?? replaceBehindKey(text, pair, roles))
    : append(text, document.contents, roles);
  if (edited === undefined || !saysTheSameBut(text, edited, roles)) {
    throw new AppError(
      'unreadable-role-file',
      'the role file says its role in a way that cannot be edited without other lines, such as by an alias',
      `write role: ${renderRoles(roles)} into it`,
    );
  }
  return edited;
}

/** The roles that a role file's text names, whatever else is wrong with it. */
export function rolesOf(text: string): readonly string[] {
  const { role } = valuesOf(text) ?? {};
  return [role].flat().filter((name) => typeof name === 'string' && name !== '') as string[];
}

/** What a text says, to the letter: `0012` is not 12. undefined where it says nothing that can be read. */
function valuesOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = parseDocument(text, { schema: 'failsafe' }).toJS();
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    // An alias whose anchor is not there.
    return undefined;
  }
}

function renderRoles(roles: readonly string[]): string {
  return roles.length === 1 ? String(roles[0]) : `[${roles.join(', ')}]`;
}

function pairOf(map: YAMLMap): Pair | undefined {
  return map.items.find(({ key }) => isScalar(key) && key.value === 'role');
}

/** Whether the edited text has these roles, and all else as before. */
function saysTheSameBut(before: string, after: string, roles: readonly string[]): boolean {
  const { role, ...now } = valuesOf(after) ?? {};
  const { role: _role, ...was } = valuesOf(before) ?? {};
  return (
    JSON.stringify([role].flat()) === JSON.stringify(roles) &&
    JSON.stringify(now) === JSON.stringify(was)
  );
}

/** Puts the new value where the old one stood on its line; a comment behind it keeps its column. */
function replaceOnItsLine(text: string, { value }: Pair, roles: readonly string[]) {
  if (!isAlias(value)) {
    const onOneLine = isScalar(value) ? value.value !== null : isSeq(value) && value.flow === true;
    if (!onOneLine || !isNode(value) || value.anchor !== undefined || value.tag !== undefined) {
      return undefined;
    }
  }
  if (!value.range) return undefined;
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

/** Puts the new value behind the colon, and takes the old one away, however many lines it has. */
function replaceBehindKey(text: string, { value, srcToken }: Pair, roles: readonly string[]) {
  const tokens = srcToken?.sep ?? [];
  const colon = tokens.find(({ type }) => type === 'map-value-ind');
  if (!colon || !(isScalar(value) || isSeq(value)) || !value.range) return undefined;
  const from = colon.offset + 1;
  const fresh = ` ${renderRoles(roles)}`;
  if (isScalar(value) && value.value === null)
    return text.slice(0, from) + fresh + text.slice(from);
  const end = value.range[1];
  const lineEnd = /\r?\n$/.exec(text.slice(from, end))?.[0] ?? '';
  const line = tokens.slice(0, tokens.findIndex(({ type }) => type === 'newline') + 1);
  const comment = line.find(({ type }) => type === 'comment');
  const kept = comment ? ` ${comment.source}` : '';
  return text.slice(0, from) + fresh + kept + lineEnd + text.slice(end);
}

/** A further line at the end of a mapping that has none for the role. */
function append(text: string, map: YAMLMap, roles: readonly string[]): string | undefined {
  if (map.flow || !map.range) return undefined;
  const end = map.range[1];
  const before = text.slice(0, end);
  return `${before}${before.endsWith('\n') ? '' : '\n'}role: ${renderRoles(roles)}\n${text.slice(end)}`;
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
