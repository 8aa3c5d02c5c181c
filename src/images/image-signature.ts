import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import type { Digest } from '../digest.ts';
import { AppError } from '../errors.ts';
import { formatImageKey, type ImageKey, imageKeyBytes, parseImageKey } from '../site/image-key.ts';

/** A signature: Ed25519 (RFC 8032) over {@link messageOf} the digest of an image or of notes on one. */
export interface ImageSignature {
  readonly key: ImageKey;
  /** 64 bytes in base64. */
  readonly signature: string;
}

export type SignedThing = 'image' | 'notes';

/** What is signed says what it is: a signature of something else with the same key is none of an image. */
function messageOf(what: SignedThing, digest: Digest): Buffer {
  return Buffer.from(`rolecall ${what} ${digest}\n`);
}

/** A new private key, as PEM (PKCS #8). */
export function makeSigningKey(): string {
  return generateKeyPairSync('ed25519')
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString();
}

/** Reads a private key; refuses what is no PEM, has a passphrase, or is of another kind (`bad-key`). */
export function readSigningKey(pem: string, file: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    throw new AppError('bad-key', `${file} holds no private key in PEM without passphrase`, hint, {
      cause: error,
    });
  }
  if (key.asymmetricKeyType === 'ed25519') return key;
  throw new AppError('bad-key', `${file} holds a key of ${key.asymmetricKeyType}`, hint);
}

const hint = 'rolecall image key FILE makes an Ed25519 key';

/** The public half, as site.yaml lists it. */
export function publicHalf(key: KeyObject): ImageKey {
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  return formatImageKey(Buffer.from(x, 'base64url'));
}

export function signDigest(what: SignedThing, digest: Digest, key: KeyObject): ImageSignature {
  return {
    key: publicHalf(key),
    signature: sign(undefined, messageOf(what, digest), key).toString('base64'),
  };
}

export function isSigned(
  what: SignedThing,
  digest: Digest,
  { key, signature }: ImageSignature,
): boolean {
  const x = imageKeyBytes(key).toString('base64url');
  const object = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return verify(undefined, messageOf(what, digest), object, Buffer.from(signature, 'base64'));
}

export function renderSignature({ key, signature }: ImageSignature): string {
  return `${key} ${signature}\n`;
}

/** undefined where the text is no signature. */
export function parseSignature(text: string): ImageSignature | undefined {
  const [name = '', signature = '', ...more] = text.trim().split(' ');
  const key = parseImageKey(name);
  return key && more.length === 0 && /^[A-Za-z0-9+/]{86}==$/.test(signature)
    ? { key, signature }
    : undefined;
}
