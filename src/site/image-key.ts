/** An Ed25519 public key (RFC 8032) as `ed25519:` and its 32 bytes in base64. */
declare const brand: unique symbol;
export type ImageKey = string & { readonly [brand]: 'ImageKey' };

const shape = /^ed25519:([A-Za-z0-9+/]{43}=)$/;

/** The key in `text`, or undefined where it is none. */
export function parseImageKey(text: string): ImageKey | undefined {
  const body = shape.exec(text)?.[1];
  if (body === undefined) return undefined;
  // Two texts of one key would be two keys: the last digit has bits that hold nothing.
  const canonical = Buffer.from(body, 'base64').toString('base64') === body;
  return canonical ? (text as ImageKey) : undefined;
}

/** The 32 bytes of a key as such a text. */
export function formatImageKey(bytes: Uint8Array): ImageKey {
  return `ed25519:${Buffer.from(bytes).toString('base64')}` as ImageKey;
}

/** The 32 bytes of a key. */
export function imageKeyBytes(key: ImageKey): Buffer {
  return Buffer.from(key.slice('ed25519:'.length), 'base64');
}
