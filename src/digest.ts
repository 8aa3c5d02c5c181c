import { createHash } from 'node:crypto';

declare const brand: unique symbol;

/** SHA-256 as 64 lower-case hexadecimal digits. */
export type Digest = string & { readonly [brand]: 'Digest' };

const shape = /^[0-9a-f]{64}$/;

/** The digest in `text`, or undefined where it is not one. */
export function parseDigest(text: string): Digest | undefined {
  return shape.test(text) ? (text as Digest) : undefined;
}

/** SHA-256 of the bytes, or of the text as UTF-8. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return createHash('sha256').update(bytes).digest('hex') as Digest;
}

/** SHA-256 of a value written as JSON with sorted keys, so that equal values have equal digests. */
export function digestOfValue(value: unknown): Digest {
  return digestOf(canonicalJson(value));
}

/** JSON with the keys of every object sorted, a Map as its entries in their order. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, v: unknown) =>
    v instanceof Map
      ? [...v]
      : v !== null && typeof v === 'object' && !Array.isArray(v)
        ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)))
        : v,
  );
}
