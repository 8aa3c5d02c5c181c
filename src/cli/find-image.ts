import { AppError } from '../errors.ts';
import type { ImageListing, ImageStore } from '../images/image-store.ts';

/** How help calls the word that {@link findImage} takes. */
export const imageWord =
  'name (its newest build), name@published, or the first digits of its digest, four or more';

/** The image that a word names: see {@link imageWord}. Refuses a word that names none, or several. */
export async function findImage(store: ImageStore, word: string): Promise<ImageListing> {
  const images = await store.list();
  const [name = '', tag = 'built', ...more] = word.split('@');
  const named = images.filter((image) => image.manifest.name === name);
  if (more.length > 0 || (tag !== 'built' && tag !== 'published')) {
    throw new AppError('usage', `${word} names no image`, 'NAME@published or NAME@built');
  }
  if (named.length === 0 && /^[0-9a-f]{0,3}$/.test(word)) {
    const what = word === '' ? 'an empty word' : word;
    throw new AppError(
      'usage',
      `${what} is no name and less than four digits`,
      'rolecall image ls',
    );
  }
  const tagged = named.filter((image) => image.tags.includes(tag));
  const onlyOne = !word.includes('@') && named.length === 1;
  const found =
    named.length > 0
      ? onlyOne
        ? named
        : tagged
      : images.filter((image) => image.digest.startsWith(word));
  const [only, ...others] = found;
  if (only && others.length === 0) return only;
  throw new AppError(
    'no-such-image',
    only ? `${word} may be any of ${found.length} images` : `no image ${word} in the store`,
    'rolecall image ls',
  );
}

/** Refuses an image of which a byte is not as it should be (`damaged-image`). */
export async function refuseDamaged(
  store: ImageStore,
  { digest }: Pick<ImageListing, 'digest'>,
): Promise<void> {
  const damage = await store.verify(digest);
  if (damage.length === 0) return;
  throw new AppError(
    'damaged-image',
    `the image ${digest} is damaged: ${damage.map((d) => `${d.part} ${d.message}`).join(', ')}`,
    'rolecall build',
  );
}

/** Bytes as people read them. */
export function mebibytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

/** As many digits as tell images apart. */
export function shortDigest({ digest }: Pick<ImageListing, 'digest'>): string {
  return digest.slice(0, 12);
}
