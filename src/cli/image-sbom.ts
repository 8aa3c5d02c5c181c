import type { Command } from 'commander';
import { AppError } from '../errors.ts';
import { openImageStore } from '../images/image-store.ts';
import { type GlobalOptions, say } from './command.ts';
import { findImage, imageWord, shortDigest } from './find-image.ts';

/** `image sbom`: what is in an image, for programs that look for known holes. */
export function registerSbom(image: Command, globals: () => GlobalOptions): void {
  image
    .command('sbom')
    .description('print the bill of materials of an image: CycloneDX 1.6, JSON')
    .argument('[image]', imageWord, 'universal')
    .action(async (word: string) => {
      const store = openImageStore(globals().state);
      const found = await findImage(store, word);
      const sbom = await store.note(found.digest, 'sbom');
      if (sbom !== undefined) return say(JSON.stringify(sbom, null, 2));
      throw new AppError(
        'no-sbom',
        `nothing is kept of what is in ${found.manifest.name} ${shortDigest(found)}: it was built before builds wrote that down`,
        'rolecall build',
      );
    });
}
