import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { addMailbox } from '../../../src/rehearsal/add-mailbox.ts';
import { loadFleet } from '../../../src/roles/load-fleet.ts';
import { renderContents } from '../../../src/roles/render-contents.ts';

const random = Uint8Array.from({ length: 24 }, (_, i) => i);
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rc-mailbox-'));
  await cp(join(import.meta.dirname, '../../../examples/lab'), folder, { recursive: true });
});
afterEach(() => rm(folder, { recursive: true }));

it('adds a user that the mail server of the copy lets in, and keeps the others', async () => {
  const mailbox = await addMailbox(folder, random);
  expect(mailbox?.address).toBe('rolecall-rehearsal@lab.example');
  const fleet = await loadFleet(folder);
  if (!fleet.ok) throw new Error(JSON.stringify(fleet.problems));
  const node = fleet.value.site.nodes.get('mail1');
  if (!node) throw new Error('no mail1');
  const file = renderContents(fleet.value, node).files.find(
    ({ path }) => path === '/etc/dovecot/users',
  );
  const users = String(file && 'content' in file ? file.content : '');
  expect(users).toMatch(/^ops@lab\.example:/m);
  const hash = /^rolecall-rehearsal@lab\.example:\{SSHA512\}([^:]+)::::::$/m.exec(users)?.[1] ?? '';
  // SSHA512 of dovecot's password schemes: 64 bytes of hash, then the salt.
  const bytes = Buffer.from(hash, 'base64');
  const digest = createHash('sha512')
    .update(mailbox?.password ?? '')
    .update(bytes.subarray(64))
    .digest();
  expect(bytes.subarray(0, 64).equals(digest)).toBe(true);
  expect(await readFile(join(folder, 'users/lab.yaml'), 'utf8')).toContain('# Mailboxes');
});

it('adds none where mail is taken for no domain', async () => {
  const file = join(folder, 'site.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(file, `${text.slice(0, text.indexOf('roles:'))}`);
  expect(await addMailbox(folder, random)).toBeUndefined();
});
