import { imagePath, overlayPath } from '../boot/boot-paths.ts';
import { type Digest, parseDigest } from '../digest.ts';

/** What a boot script makes its machine fetch. */
export interface ScriptPart {
  readonly what: 'kernel' | 'initramfs' | 'root' | 'overlay';
  readonly url: string;
  readonly digest: Digest;
  /** Bytes, where the script says them. */
  readonly size?: number;
}

/** A boot script of iPXE as a machine would follow it: its parts, or what it says instead of booting. */
export function readScript(
  script: string,
):
  | { readonly kind: 'boots'; readonly parts: readonly ScriptPart[] }
  | { readonly kind: 'refuses'; readonly why: string } {
  const kernel = /^kernel\s+(?:--\S+\s+\S+\s+)*(\S+)(.*?)(?:\s(?:\|\||&&).*)?$/m.exec(script);
  const initrd = /^initrd\s+(?:--\S+\s+\S+\s+)*(\S+)/m.exec(script);
  if (!kernel?.[1] || !initrd?.[1]) {
    const said = [...script.matchAll(/^echo (.*)$/gm)].map(([, words]) => words);
    return { kind: 'refuses', why: said[0] ?? 'it names no kernel' };
  }
  const argumentOf = (name: string) =>
    new RegExp(`\\srolecall\\.${name}=(\\S+)`).exec(kernel[2] ?? '')?.[1];
  const server = argumentOf('server') ?? '';
  const parts: ScriptPart[] = [];
  for (const [what, url] of [
    ['kernel', kernel[1]],
    ['initramfs', initrd[1]],
  ] as const) {
    const digest = parseDigest(url.split('/').at(-1) ?? '');
    if (digest) parts.push({ what, url, digest });
  }
  for (const [what, pathOf] of [
    ['root', imagePath],
    ['overlay', overlayPath],
  ] as const) {
    // A root may have several layers.
    for (const blob of (argumentOf(what) ?? '').split(',')) {
      const [hex = '', size] = blob.split(':');
      const digest = parseDigest(hex);
      if (!digest) continue;
      parts.push({ what, url: `${server}${pathOf(digest)}`, digest, size: Number(size) });
    }
  }
  return { kind: 'boots', parts };
}
