import { expect, test } from 'vitest';
import { formatImageKey, imageKeyBytes, parseImageKey } from '../../../src/site/image-key.ts';
import { parseSite } from '../../../src/site/parse-site.ts';
import { aSite, siteYaml } from './a-site.ts';

const key = formatImageKey(Buffer.alloc(32, 7));

test('a key is 32 bytes, in one text only', () => {
  expect(parseImageKey(key)).toBe(key);
  expect(imageKeyBytes(key)).toEqual(Buffer.alloc(32, 7));
  const { length } = key;
  // The digit before the sign of the end has two bits that hold nothing.
  const twin = `${key.slice(0, length - 2)}${String.fromCharCode(key.charCodeAt(length - 2) + 1)}=`;
  expect(imageKeyBytes(twin as typeof key)).toEqual(imageKeyBytes(key));
  for (const text of [twin, '', 'ed25519:', `${key}=`, key.slice(1), key.slice(0, -4)]) {
    expect(parseImageKey(text)).toBeUndefined();
  }
});

test('site.yaml says whose images are taken in', () => {
  expect(aSite({}).images).toEqual({ trust: [], publish: 'any' });
  expect(aSite({}, `images:\n  trust: [${key}]\n`).images.trust).toEqual([key]);
});

test('site.yaml says whether an image must have passed its tests before it is published', () => {
  expect(aSite({}, 'images: {publish: tested}\n').images.publish).toBe('tested');
  const text = `${siteYaml()}images:\n  publish: test\n  trusted: []\n`;
  const result = parseSite(new Map([['site.yaml', text]]));
  const first = siteYaml().split('\n').length;
  expect(result.ok ? [] : result.problems.map((p) => [p.line - first, p.message, p.hint])).toEqual([
    [1, 'publish: test is not possible', 'one of: any, tested'],
    [2, expect.stringContaining('trusted'), expect.stringContaining('trust')],
  ]);
});

test('what is no key, or one twice, or a private one, is said with its line', () => {
  const text = `${siteYaml()}images:\n  trust:\n    - ${key}\n    - nonsense\n    - ${key}\n    - -----BEGIN PRIVATE KEY-----\n`;
  const result = parseSite(new Map([['site.yaml', text]]));
  const first = siteYaml().split('\n').length + 2;
  expect(result.ok ? [] : result.problems.map((p) => [p.line - first, p.message])).toEqual([
    [1, 'nonsense is no key that signs images'],
    [2, 'this key is listed twice'],
    [3, 'this is a private key: never write it into the site'],
  ]);
});
