import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isMap, parseDocument } from 'yaml';
import { mergeParams } from '../roles/role-params.ts';
import { loadSite } from '../site/load-site.ts';

/** Whose mail a rehearsal sends and reads. */
export interface Mailbox {
  /** `user@domain`, which is also the name to log in by. */
  readonly address: string;
  readonly password: string;
}

const user = 'rolecall-rehearsal';

/**
 * Adds a user to a copy of a site, in the first domain that its mail servers take mail for; undefined where
 * they take mail for none. `random` is 24 bytes that nobody knows.
 */
export async function addMailbox(folder: string, random: Uint8Array): Promise<Mailbox | undefined> {
  const loaded = await loadSite(folder);
  // Whoever loads it next says what is wrong with it.
  if (!loaded.ok) return undefined;
  const site = loaded.value;
  const node = [...site.nodes.values()].find(({ roles }) => roles.includes('mail'));
  const domains = node ? mergeParams(site, node, 'mail').domains : undefined;
  const [first] = Object.entries((domains ?? {}) as Record<string, { users?: unknown } | null>);
  if (!first || typeof first[1]?.users !== 'string') return undefined;
  const [domain, { users }] = first;
  const file = join(folder, users as string);
  const document = parseDocument(await readFile(file, 'utf8'));
  if (document.contents !== null && !isMap(document.contents)) return undefined;
  const password = Buffer.from(random.slice(0, 16)).toString('hex');
  document.set(user, hashPassword(password, random.slice(16, 24)));
  await writeFile(file, document.toString({ lineWidth: 0 }));
  return { address: `${user}@${domain}`, password };
}

/** Dovecot's salted SHA-512: the hash and the salt, together in base64. */
function hashPassword(password: string, salt: Uint8Array): string {
  const hash = createHash('sha512').update(password).update(salt).digest();
  return `{SSHA512}${Buffer.concat([hash, salt]).toString('base64')}`;
}
