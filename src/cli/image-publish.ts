import type { Command } from 'commander';
import { nodeArchitecture } from '../boot/node-architecture.ts';
import { AppError } from '../errors.ts';
import { type ImageStore, openImageStore, type StoredImage } from '../images/image-store.ts';
import { type GlobalOptions, say } from './command.ts';
import { findImage, imageWord, refuseDamaged, shortDigest } from './find-image.ts';
import { askPublishGate } from './publish-gate.ts';

/** `image publish` and `image rollback`: which image nodes boot. */
export function registerPublish(image: Command, globals: () => GlobalOptions): void {
  image
    .command('publish')
    .description('let nodes boot this image from their next boot on')
    .argument('<image>', imageWord)
    .option('--untested', 'also where the site asks for a test that it did not pass')
    .action(async (word: string, { untested }: { untested?: boolean }) => {
      const { state, json } = globals();
      const store = openImageStore(state);
      const found = await findImage(store, word);
      await refuseDamaged(store, found);
      const { refusal, notes } = await askPublishGate(globals(), store, found);
      if (refusal && !untested) throw refusal;
      await store.tag(found.digest, 'published');
      const warnings = refusal ? [`PUBLISHED UNTESTED: ${refusal.message}`] : notes;
      for (const warning of warnings) process.stderr.write(`rolecall: ${warning}\n`);
      if (json) {
        return say(JSON.stringify([{ digest: found.digest, published: true, warnings }], null, 2));
      }
      say(`published: nodes boot ${found.manifest.name} ${shortDigest(found)} from now on`);
    });

  image
    .command('rollback')
    .description('let nodes boot the image that was published before; again goes further back')
    .argument('[name]', 'name of the image', 'universal')
    .option('--architecture <name>', "Debian's word, such as amd64", nodeArchitecture)
    .action(async (name: string, { architecture }: { architecture: string }) => {
      const { state, json } = globals();
      const store = openImageStore(state);
      const { from, to } = await stepBack(store, name, architecture);
      await refuseDamaged(store, to);
      await store.rollback(to.digest);
      if (json) return say(JSON.stringify([{ digest: to.digest, before: from }], null, 2));
      say(`published: nodes boot ${name} ${shortDigest(to)} from now on, as before`);
      say(`${from.slice(0, 12)} was taken back: rolecall image publish ${from.slice(0, 12)}`);
    });
}

/** The published image, and the newest of those before it that the store still has. */
async function stepBack(store: ImageStore, name: string, architecture: string) {
  const [from, ...before] = await store.published(name, architecture);
  const here = new Set(await store.digests());
  const digest = before.find((one) => here.has(one));
  const to: StoredImage | undefined = digest && (await store.read(digest));
  if (from !== undefined && to) return { from, to };
  throw new AppError(
    'no-earlier-image',
    from === undefined
      ? `no image ${name} (${architecture}) is published`
      : `no image ${name} (${architecture}) that was published before ${from.slice(0, 12)} is in the store`,
    'rolecall image ls shows what there is; rolecall image publish takes any of it',
  );
}
