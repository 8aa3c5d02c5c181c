import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensureSecrets } from '../../../src/state/secrets.ts';

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'rolecall-secrets-'));
});
afterEach(async () => {
  await rm(state, { recursive: true });
});

test('a node has one host key for ever, and no other node has it', async () => {
  const first = await ensureSecrets(state, 'web1');
  const again = await ensureSecrets(state, 'web1');
  const other = await ensureSecrets(state, 'web2');
  expect(first).toEqual([
    expect.objectContaining({ path: '/etc/ssh/ssh_host_ed25519_key', mode: 0o600, uid: 0, gid: 0 }),
  ]);
  expect(again).toEqual(first);
  expect(other).not.toEqual(first);
});

test('two boots at once get the same key, and nothing is left beside it', async () => {
  const made = await Promise.all([1, 2, 3, 4].map(() => ensureSecrets(state, 'web1')));
  for (const files of made) expect(files).toEqual(made[0]);
  expect(await readdir(join(state, 'secrets/web1'))).toEqual(['ssh_host_ed25519_key']);
});

test('only its owner may read it', async () => {
  await ensureSecrets(state, 'web1');
  const dir = await stat(join(state, 'secrets/web1'));
  const key = await stat(join(state, 'secrets/web1/ssh_host_ed25519_key'));
  expect([dir.mode & 0o777, key.mode & 0o777]).toEqual([0o700, 0o600]);
});

test('nodes that share a secret get the same, where and as each wants it', async () => {
  const mail = { kind: 'certificate', name: 'mail', hosts: ['mail.lab.example'] } as const;
  const share = (path: string, gid: number) => ({ ...mail, path, mode: 0o640, uid: 0, gid });
  const [, first] = await ensureSecrets(state, 'web1', [share('/etc/ssl/private/mail.pem', 8)]);
  const [, second] = await ensureSecrets(state, 'web2', [share('/etc/mail.pem', 9)]);
  expect(first).toMatchObject({ path: '/etc/ssl/private/mail.pem', mode: 0o640, uid: 0, gid: 8 });
  expect(second).toEqual({ ...first, path: '/etc/mail.pem', gid: 9 });
});

test.each(['..', 'a/b', '', 'Web1'])('refuses the node name %j', async (name) => {
  await expect(ensureSecrets(state, name)).rejects.toThrow('cannot be the name of a node');
});
