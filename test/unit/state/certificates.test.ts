import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  ensureCertificate,
  findCertificate,
  importCertificate,
  listCertificates,
} from '../../../src/state/certificates.ts';
import { runProgram } from '../../../src/system/run-program.ts';
import { temporaryFolder } from './temporary-folder.ts';

const hosts = ['mail.lab.example', 'imap.lab.example'];
const pemFile = (state: string) => join(state, 'certificates/mail.pem');

/** A key and a certificate of an operator, from a certificate authority of its own. */
async function issued(days = 90): Promise<{ key: string; certificate: string; root: string }> {
  const dir = temporaryFolder();
  const at = (name: string) => join(dir, name);
  const name = ['-subj', '/CN=mail.lab.example', '-addext', 'subjectAltName=DNS:mail.lab.example'];
  const make = (...args: string[]) => runProgram('openssl', ['req', '-noenc', ...args]);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  await make('-x509', ...key, '-keyout', at('ca.key'), '-out', at('ca'), '-subj', '/CN=A CA');
  await make(...key, '-keyout', at('key'), '-out', at('request'), ...name);
  await runProgram('openssl', [
    ...['x509', '-req', '-in', at('request'), '-CA', at('ca'), '-CAkey', at('ca.key')],
    ...['-copy_extensions', 'copyall', '-days', String(days), '-out', at('certificate')],
  ]);
  const read = (file: string) => readFileSync(at(file), 'utf8');
  return { key: read('key'), certificate: read('certificate'), root: read('ca') };
}

test('a certificate is made once, for the hosts, with a key that nobody else may read', async () => {
  const state = temporaryFolder();
  const made = await Promise.all([1, 2, 3].map(() => ensureCertificate(state, 'mail', hosts)));
  expect(new Set(made).size).toBe(1);
  expect(await ensureCertificate(state, 'mail', ['other.example'])).toBe(made[0]);
  const certificate = new X509Certificate(made[0] ?? '');
  for (const host of hosts) expect(certificate.checkHost(host)).toBe(host);
  expect(certificate.checkHost('other.example')).toBeUndefined();
  expect(statSync(pemFile(state)).mode & 0o777).toBe(0o600);
  expect(statSync(join(state, 'certificates')).mode & 0o777).toBe(0o700);
  expect(readdirSync(join(state, 'certificates'))).toEqual(['mail.pem']);
  // What clients may have holds no key.
  const found = await findCertificate(state, 'mail');
  expect(found).toMatchObject({ selfSigned: true, hosts: hosts.map((host) => `DNS:${host}`) });
  expect(found?.chain).not.toContain('PRIVATE');
});

test('a host name that no common name can hold', async () => {
  const long = `mail.${'a'.repeat(60)}.example`;
  const pem = await ensureCertificate(temporaryFolder(), 'mail', [long]);
  expect(new X509Certificate(pem).checkHost(long)).toBe(long);
});

test("the operator's own takes its place, key first and in one file, and stays", async () => {
  const state = temporaryFolder();
  await ensureCertificate(state, 'mail', hosts);
  const { key, certificate, root } = await issued();
  const found = await importCertificate(state, 'mail', [certificate, root, key], Date.now());
  expect(found).toMatchObject({ selfSigned: false, issuer: 'CN=A CA', file: pemFile(state) });
  expect(await ensureCertificate(state, 'mail', hosts)).toBe(key + certificate + root);
  expect(statSync(pemFile(state)).mode & 0o777).toBe(0o600);
  expect(await findCertificate(state, 'none')).toBeUndefined();
  expect(await listCertificates(state)).toEqual([found]);
});

test('what a server could not use is refused, and what is there stays', async () => {
  const state = temporaryFolder();
  const before = await ensureCertificate(state, 'mail', hosts);
  const { key, certificate } = await issued();
  const other = await issued();
  const locked = join(temporaryFolder(), 'key');
  await runProgram('openssl', ['pkey', '-aes256', '-passout', 'pass:x', '-out', locked], {
    input: key,
  });
  const put = (pems: string[], now = Date.now()) => importCertificate(state, 'mail', pems, now);
  await expect(put([certificate])).rejects.toThrow('holds 0 private keys, not one');
  await expect(put([key, other.key, certificate])).rejects.toThrow('holds 2 private keys');
  await expect(put([key])).rejects.toThrow('holds no certificate');
  await expect(put([key, other.certificate])).rejects.toThrow('belongs to another certificate');
  await expect(put([readFileSync(locked, 'utf8'), certificate])).rejects.toThrow('passphrase');
  const later = Date.now() + 91 * 24 * 60 * 60 * 1000;
  await expect(put([key, certificate], later)).rejects.toThrow('ran out');
  await expect(importCertificate(state, '../x', [key], 0)).rejects.toThrow('cannot be the name');
  expect(await ensureCertificate(state, 'mail', hosts)).toBe(before);
});

test('a file that was damaged is said, and not handed out', async () => {
  const state = temporaryFolder();
  await ensureCertificate(state, 'mail', hosts);
  writeFileSync(pemFile(state), 'oops');
  await expect(ensureCertificate(state, 'mail', hosts)).rejects.toThrow(
    'mail.pem: holds 0 private',
  );
  const [listed] = await listCertificates(state);
  expect(listed).toBeInstanceOf(Error);
});
