import { type ImageKey, parseImageKey } from './image-key.ts';
import type { YamlPlace } from './yaml-file.ts';

/** `images:` of site.yaml. */
export interface ImageRules {
  /** Whose signed images `rolecall image import` takes. */
  readonly trust: readonly ImageKey[];
  /** What may be published: any image, or one that passed `rolecall image test`. */
  readonly publish: 'any' | 'tested';
}

/** Reads `images:` of site.yaml. */
export function parseImages(place: YamlPlace | undefined): ImageRules {
  const found = place?.fields(['trust', 'publish']);
  const trust: ImageKey[] = [];
  for (const item of found?.trust?.items() ?? []) {
    const text = item.text('ed25519:…')?.trim();
    if (text === undefined) continue;
    const key = parseImageKey(text);
    if (text.includes('PRIVATE KEY')) {
      item.problem('this is a private key: never write it into the site', showHint);
    } else if (!key) item.problem(`${text.slice(0, 24)} is no key that signs images`, showHint);
    else if (trust.includes(key)) item.problem('this key is listed twice', 'once is enough');
    else trust.push(key);
  }
  return { trust, publish: found?.publish?.oneOf(['any', 'tested']) ?? 'any' };
}

const showHint = 'rolecall image key FILE prints the line that belongs here';
