import { type Digest, parseDigest } from '../digest.ts';

/** How many images a tag remembers. */
const longest = 10;

/** What a tag named: the image that it names first, then those before, newest first, each once. */
export type TagHistory = readonly Digest[];

/** Reads a tag's file, a digest in each line; what is none is passed over. */
export function parseTag(text: string): TagHistory {
  return text
    .split('\n')
    .map(parseDigest)
    .filter((digest) => digest !== undefined);
}

export function renderTag(history: TagHistory): string {
  return history.map((digest) => `${digest}\n`).join('');
}

/** The tag moves to `digest`, and remembers what it named. */
export function moveTag(history: TagHistory, digest: Digest): TagHistory {
  return [digest, ...history.filter((other) => other !== digest)].slice(0, longest);
}

/**
 * The tag goes back to `digest`, and forgets what it named since: a second step back goes further back.
 * undefined where it never named that, or names it now.
 */
export function takeTagBack(history: TagHistory, digest: Digest): TagHistory | undefined {
  const at = history.indexOf(digest);
  return at > 0 ? history.slice(at) : undefined;
}
