import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pack } from 'tar-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import { exportImage, importImage } from '../../../src/images/image-archive.ts';
import {
  isSigned,
  makeSigningKey,
  parseSignature,
  publicHalf,
  readSigningKey,
  renderSignature,
  signDigest,
} from '../../../src/images/image-signature.ts';
import { openImageStore, type StoredImage } from '../../../src/images/image-store.ts';
import type { ImageTests } from '../../../src/images/image-tests.ts';
import { runProgram } from '../../../src/system/run-program.ts';
import { storeImage } from '../../stored-image.ts';

const key = readSigningKey(makeSigningKey(), 'key');
const trusted = [publicHalf(key)];

let folder = '';
let file = '';
let image: StoredImage;
const from = () => openImageStore(join(folder, 'from'));
const to = () => openImageStore(join(folder, 'to'));
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'archive-'));
  file = join(folder, 'universal.tar');
  await storeImage(join(folder, 'from'));
  image = (await from().resolve('universal', 'amd64')) as StoredImage;
});
afterEach(() => rm(folder, { recursive: true }));

const exported = () => exportImage(image, from(), key, file);
/** What is in the other store after a refusal. */
const leftovers = async () => {
  const names = await readdir(join(folder, 'to/images'), { recursive: true }).catch(() => []);
  return names.filter((name) => /(manifests|incoming|blobs)\//.test(name));
};

it('an image arrives as it was, and is neither tagged nor published', async () => {
  await exported();
  expect(await importImage(file, to(), trusted)).toEqual(image);
  expect(await to().verify(image.digest)).toEqual([]);
  expect((await to().list()).map(({ tags }) => tags)).toEqual([[]]);
  // Once more changes nothing.
  expect(await importImage(file, to(), trusted)).toEqual(image);
});

it('the same image and key give the same bytes, which any tar reads', async () => {
  await exported();
  const first = await readFile(file);
  await rm(file);
  await exported();
  expect((await readFile(file)).equals(first)).toBe(true);
  const { stdout } = await runProgram('tar', ['--list', '--file', file]);
  const [manifest, signature, ...blobs] = stdout.trim().split('\n');
  expect([manifest, signature]).toEqual(['manifest.json', 'signature']);
  expect(blobs.every((name) => /^blobs\/[0-9a-f]{64}$/.test(name))).toBe(true);
  expect(await readdir(folder)).toEqual(['from', 'universal.tar']);
});

const tests: ImageTests = {
  format: 1,
  site: 'tokyo',
  roles: {
    web: {
      ...{ outcome: 'passed', at: '2026-01-02T03:04:05.000Z', detail: 'web1' },
      role: digestOf('web'),
    },
  },
};

describe('what the tests of an image found', () => {
  const arrived = () => to().note(image.digest, 'tests');

  it('comes along, and is signed', async () => {
    await from().writeNote(image.digest, 'tests', tests);
    await exported();
    await importImage(file, to(), trusted);
    expect(await arrived()).toEqual(tests);
    const { stdout } = await runProgram('tar', ['--list', '--file', file]);
    expect(stdout.split('\n').slice(2, 4)).toEqual(['notes.json', 'notes.signature']);
  });

  it('comes with the bill of materials and what decided the bytes', async () => {
    await from().writeNote(image.digest, 'sbom', { bomFormat: 'CycloneDX' });
    await from().writeNote(image.digest, 'provenance', { format: 1 });
    await exported();
    await importImage(file, to(), trusted);
    expect(await to().note(image.digest, 'sbom')).toEqual({ bomFormat: 'CycloneDX' });
    expect(await to().note(image.digest, 'provenance')).toEqual({ format: 1 });
    expect(await arrived()).toBeUndefined();
  });

  it('does not replace a newer word of this machine', async () => {
    const later = { ...tests.roles.web, outcome: 'failed', at: '2026-02-02T03:04:05.000Z' };
    await exported();
    await importImage(file, to(), trusted);
    await to().writeNote(image.digest, 'tests', { ...tests, roles: { web: later } });
    await from().writeNote(image.digest, 'tests', tests);
    await exported();
    await importImage(file, to(), trusted);
    expect(await arrived()).toMatchObject({ roles: { web: { outcome: 'failed' } } });
  });

  it.each([
    ['changed by a byte', (bytes: Buffer) => bytes.write('q', bytes.indexOf('passed'))],
    ['for another image', (bytes: Buffer) => bytes.write('0000', bytes.indexOf('"image":"') + 9)],
    [
      'without its signature',
      (bytes: Buffer) => bytes.write('x', bytes.indexOf('notes.signature')),
    ],
  ])('is refused where it is %s, with the image', async (_what, change) => {
    await from().writeNote(image.digest, 'tests', tests);
    await exported();
    const bytes = await readFile(file);
    change(bytes);
    await writeFile(file, bytes);
    await expect(importImage(file, to(), trusted)).rejects.toMatchObject({
      code: expect.stringMatching(/^(untrusted-image|damaged-archive)$/),
    });
    expect(await leftovers()).toEqual([]);
  });
});

it('a damaged image is not exported, and no half file is left', async () => {
  await writeFile(from().blobPath(image.manifest.kernel.digest), 'other bytes');
  await expect(exported()).rejects.toMatchObject({ code: 'damaged-image' });
  expect(await readdir(folder)).toEqual(['from']);
});

describe('is refused', () => {
  const refused = async (code: string, message: RegExp, keys = trusted) => {
    const error = await importImage(file, to(), keys).catch((e: unknown) => e);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(await leftovers()).toEqual([]);
    return error as Error & { hint: string };
  };

  it('from a key that the site does not trust, and the hint says what to write', async () => {
    await exported();
    const other = publicHalf(readSigningKey(makeSigningKey(), 'other'));
    const { hint } = await refused('untrusted-image', /signed by ed25519:.* trusts only/, [other]);
    expect(hint).toContain(`trust: [${other}, ${trusted[0]}]`);
    await refused('untrusted-image', /trusts no key/, []);
  });

  it('with a signature of another image', async () => {
    await exported();
    const line = renderSignature(signDigest('image', image.digest, key));
    const bytes = await readFile(file);
    const at = bytes.indexOf(line);
    const other = renderSignature(signDigest('image', image.manifest.kernel.digest, key));
    bytes.write(other, at);
    await writeFile(file, bytes);
    await refused('untrusted-image', /the file was changed/);
  });

  it('with a manifest that was changed', async () => {
    await exported();
    const bytes = await readFile(file);
    bytes.write('trixiE', bytes.indexOf('trixie'));
    await writeFile(file, bytes);
    await refused('untrusted-image', /the file was changed/);
  });

  it('with a byte of a blob changed', async () => {
    await exported();
    const bytes = await readFile(file);
    bytes.write('B', bytes.lastIndexOf('bytes of'));
    await writeFile(file, bytes);
    await refused('damaged-archive', /is damaged: .* came as/);
  });

  it('with a blob of another size, before any byte of it is written', async () => {
    const archive = pack();
    const { kernel } = image.manifest;
    archive.entry({ name: 'manifest.json' }, await from().text(image.digest));
    archive.entry({ name: 'signature' }, renderSignature(signDigest('image', image.digest, key)));
    archive.entry({ name: `blobs/${kernel.digest}`, size: 2 ** 40 }).write('A terabyte begins.');
    const begin: Buffer[] = [];
    // The end of that entry never comes.
    archive.on('data', (part) => begin.push(part as Buffer));
    await new Promise((done) => setImmediate(done));
    archive.destroy();
    await writeFile(file, Buffer.concat(begin));
    await refused('damaged-archive', new RegExp(`of ${2 ** 40} bytes instead of ${kernel.size}`));
  });

  it('without its end, wherever it was cut off', async () => {
    await exported();
    const { length } = await readFile(file);
    for (const size of [length - 2048, 40_000, 700, 512, 100]) {
      await truncate(file, size);
      await refused('damaged-archive', /lacks|only a part|ends before|no image/);
    }
    await truncate(file, 0);
    await refused('damaged-archive', /ends before the signature/);
  });

  it('where it is another file', async () => {
    await writeFile(file, 'This is no archive at all. '.repeat(100));
    await refused('damaged-archive', /no image that rolecall exported/);
    const { stdout } = await runProgram(
      'tar',
      ['--create', '--file', '-', '-C', folder, 'from'],
      {},
    );
    await writeFile(file, stdout);
    await refused('damaged-archive', /where manifest.json should be|no image/);
  });

  it('without a signature', async () => {
    const archive = pack();
    const text = JSON.stringify(image.manifest, Object.keys(image.manifest).sort());
    archive.entry({ name: 'manifest.json' }, text);
    archive.entry({ name: 'signature' }, 'none');
    archive.finalize();
    const parts: Uint8Array[] = [];
    for await (const part of archive) parts.push(part as Uint8Array);
    await writeFile(file, Buffer.concat(parts));
    await refused('damaged-archive', /no signature that can be read/);
  });

  it('where it is not there', async () => {
    await expect(importImage(file, to(), trusted)).rejects.toThrow('ENOENT');
    await expect(importImage(folder, to(), trusted)).rejects.toThrow('EISDIR');
  });
});

describe('signatures', () => {
  it('are of one image by one key', () => {
    const signed = signDigest('image', image.digest, key);
    expect(isSigned('image', image.digest, signed)).toBe(true);
    expect(isSigned('notes', image.digest, signed)).toBe(false);
    expect(isSigned('image', image.manifest.kernel.digest, signed)).toBe(false);
    const other = publicHalf(readSigningKey(makeSigningKey(), 'other'));
    expect(isSigned('image', image.digest, { ...signed, key: other })).toBe(false);
    expect(parseSignature(renderSignature(signed))).toEqual(signed);
    for (const text of [
      '',
      'none',
      `${signed.key}`,
      `${signed.key} AAAA`,
      `x ${signed.signature}`,
    ]) {
      expect(parseSignature(text)).toBeUndefined();
    }
  });

  it('are those of OpenSSL', async () => {
    await writeFile(join(folder, 'key.pem'), makeSigningKey());
    const own = readSigningKey(await readFile(join(folder, 'key.pem'), 'utf8'), 'key.pem');
    await writeFile(join(folder, 'message'), `rolecall image ${image.digest}\n`);
    const signed = signDigest('image', image.digest, own);
    await writeFile(join(folder, 'signature'), Buffer.from(signed.signature, 'base64'));
    await runProgram('openssl', [
      ...['pkeyutl', '-verify', '-rawin', '-inkey', join(folder, 'key.pem')],
      ...['-in', join(folder, 'message'), '-sigfile', join(folder, 'signature')],
    ]);
  });

  it('need a key that can sign', async () => {
    const rsa = await runProgram('openssl', ['genrsa', '1024']);
    expect(() => readSigningKey(rsa.stdout, 'rsa.pem')).toThrow('rsa.pem holds a key of rsa');
    expect(() => readSigningKey('nonsense', 'x.pem')).toThrow('x.pem holds no private key');
  });
});
