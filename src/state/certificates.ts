import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chown, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { isLabel } from '../site/read-values.ts';
import { writeDurably } from '../system/durable-file.ts';
import { runProgram } from '../system/run-program.ts';
import { madeOnce, readIfThere } from './made-once.ts';

/**
 * Certificates with their keys, one PEM file each, `certificates/<name>.pem` of the state folder: made by
 * the server when a node first asks, or the operator's own.
 */
export interface Certificate {
  readonly name: string;
  /** Absolute path. */
  readonly file: string;
  /** Host names and addresses that it is for, as `DNS:mail.lab.example`. */
  readonly hosts: readonly string[];
  readonly issuer: string;
  readonly selfSigned: boolean;
  /** Milliseconds of the epoch. */
  readonly validUntil: number;
  /** SHA-256 of the certificate, in pairs of digits. */
  readonly fingerprint: string;
  /** Certificates without the key, as clients may have them. */
  readonly chain: string;
}

/** Mail programs ask people to accept it once; a machine without disks gets a new one by a reboot only. */
const validDays = 3650;

/** The PEM file of that name; made for the hosts, self-signed, where there is none. */
export async function ensureCertificate(
  stateDir: string,
  name: string,
  hosts: readonly string[],
): Promise<string> {
  const file = certificateFile(stateDir, name);
  const pem = await madeOnce(file, (aside) => makeCertificate(aside, hosts));
  readCertificate(name, file, pem);
  return pem;
}

/** Every certificate of the state folder, or what is wrong with it, sorted by name. */
export async function listCertificates(
  stateDir: string,
): Promise<readonly (Certificate | AppError)[]> {
  const entries = await readdir(join(stateDir, 'certificates')).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
  const names = entries.flatMap((entry) => {
    const name = entry.endsWith('.pem') ? entry.slice(0, -'.pem'.length) : '';
    return isLabel(name) ? [name] : [];
  });
  return await Promise.all(names.sort().map((name) => lookAt(stateDir, name)));
}

async function lookAt(stateDir: string, name: string): Promise<Certificate | AppError> {
  try {
    const found = await findCertificate(stateDir, name);
    return found ?? new AppError('no-certificate', `the certificate ${name} has gone`);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
}

/** The certificate of that name; undefined where there is none. */
export async function findCertificate(
  stateDir: string,
  name: string,
): Promise<Certificate | undefined> {
  const file = certificateFile(stateDir, name);
  const pem = await readIfThere(file);
  return pem === undefined ? undefined : readCertificate(name, file, pem);
}

/**
 * Puts an operator's key and certificates in the place of what is there. Refuses what a server could not
 * use: no key, a key with a passphrase, a key of another certificate, a certificate that has run out.
 */
export async function importCertificate(
  stateDir: string,
  name: string,
  pems: readonly string[],
  now: number,
): Promise<Certificate> {
  const file = certificateFile(stateDir, name);
  const text = joinPems(pems);
  const found = readCertificate(name, file, text);
  if (found.validUntil <= now) {
    const until = new Date(found.validUntil).toISOString();
    throw new AppError(
      'certificate',
      `the certificate ran out on ${until}`,
      'have a new one issued',
    );
  }
  const folder = join(stateDir, 'certificates');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // The server may be another user than root, who types; the state folder is its.
  const owner = process.getuid?.() === 0 ? await stat(stateDir) : undefined;
  if (owner) await chown(folder, owner.uid, owner.gid);
  await writeDurably(file, text, { mode: 0o600, ...(owner ? { owner } : {}) });
  return found;
}

function certificateFile(stateDir: string, name: string): string {
  if (!isLabel(name)) {
    const hint = 'lower-case letters, digits and dashes';
    throw new AppError('usage', `${name} cannot be the name of a certificate`, hint);
  }
  return join(stateDir, 'certificates', `${name}.pem`);
}

const block = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g;

function blocksOf(pem: string): readonly { readonly kind: string; readonly text: string }[] {
  return [...pem.matchAll(block)].map(([text, kind = '']) => ({ kind, text }));
}

/** Postfix wants the key first, then its certificate, then those that lead to the root. */
function joinPems(pems: readonly string[]): string {
  const all = pems.flatMap(blocksOf);
  const keys = all.filter(({ kind }) => kind.endsWith('PRIVATE KEY'));
  const certificates = all.filter(({ kind }) => kind === 'CERTIFICATE');
  return [...keys, ...certificates].map(({ text }) => `${text}\n`).join('');
}

/** What a PEM file holds, where a server can use it; else throws with what is wrong. */
function readCertificate(name: string, file: string, pem: string): Certificate {
  const refuse = (what: string, cause?: unknown) =>
    new AppError(
      'certificate',
      `${file}: ${what}`,
      `rolecall certificate import ${name} KEY CERTIFICATE; or take the file away, and the server makes one`,
      cause === undefined ? {} : { cause },
    );
  const blocks = blocksOf(pem);
  const keys = blocks.filter(({ kind }) => kind.endsWith('PRIVATE KEY'));
  const certificates = blocks.filter(({ kind }) => kind === 'CERTIFICATE');
  const [key] = keys;
  const [first] = certificates;
  if (!key || keys.length > 1) throw refuse(`holds ${keys.length} private keys, not one`);
  if (!first) throw refuse('holds no certificate');
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(first.text);
  } catch (error) {
    throw refuse('its first certificate cannot be read', error);
  }
  try {
    if (!certificate.checkPrivateKey(createPrivateKey(key.text))) {
      throw refuse('its key belongs to another certificate than the first');
    }
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw refuse('its key cannot be read, or needs a passphrase, which nobody could type', error);
  }
  return {
    name,
    file,
    hosts: certificate.subjectAltName?.split(', ') ?? [],
    issuer: certificate.issuer.split('\n').join(', '),
    selfSigned: certificate.issuer === certificate.subject,
    validUntil: Date.parse(certificate.validTo),
    fingerprint: certificate.fingerprint256,
    chain: certificates.map(({ text }) => `${text}\n`).join(''),
  };
}

/**
 * A key and its self-signed certificate for the hosts (RFC 5280 section 4.2.1.6), in one file. With an
 * elliptic curve, which every mail program of the last ten years takes: a tenth of RSA's work per connection.
 */
async function makeCertificate(aside: string, hosts: readonly string[]): Promise<string> {
  const config = join(aside, 'openssl.cnf');
  const [first = ''] = hosts;
  // A common name has 64 characters at most (RFC 5280 appendix A.1, ub-common-name).
  const subject = first.length <= 64 ? first : (first.split('.')[0] ?? '');
  await writeFile(
    config,
    `[req]
distinguished_name = subject
x509_extensions = extensions
prompt = no
[subject]
CN = ${subject}
[extensions]
subjectAltName = ${hosts.map((host) => `DNS:${host}`).join(',')}
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
`,
  );
  const [key, certificate] = [join(aside, 'key.pem'), join(aside, 'certificate.pem')];
  await runProgram('openssl', [
    ...['req', '-x509', '-batch', '-config', config, '-sha256', '-days', String(validDays)],
    ...['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc'],
    ...['-keyout', key, '-out', certificate],
  ]);
  const made = join(aside, 'both.pem');
  const parts = await Promise.all([key, certificate].map(readIfThere));
  await writeFile(made, joinPems(parts.map((part) => part ?? '')), { mode: 0o600 });
  return made;
}
