import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { AppError } from '../errors.ts';
import { underBuildLock } from '../images/build-lock.ts';
import { exportImage, importImage } from '../images/image-archive.ts';
import { makeSigningKey, publicHalf, readSigningKey } from '../images/image-signature.ts';
import { openImageStore } from '../images/image-store.ts';
import { useImages } from '../images/image-use.ts';
import { renderProblems } from '../render-problems.ts';
import { loadSite } from '../site/load-site.ts';
import { type GlobalOptions, say } from './command.ts';
import { findImage, imageWord, shortDigest } from './find-image.ts';
import { askPublishGate } from './publish-gate.ts';

/** `image key`, `export` and `import`: an image built on one machine and booted from another. */
export function registerCarry(image: Command, globals: () => GlobalOptions): void {
  image
    .command('key')
    .description('make a key that signs exported images, or show the public half of one')
    .argument('<file>', 'the private key; made where it is not there')
    .action(async (file: string) => {
      const made = !existsSync(file);
      if (made) await writeFile(file, makeSigningKey(), { mode: 0o600, flag: 'wx' });
      const key = publicHalf(readSigningKey(await readFile(file, 'utf8'), file));
      if (globals().json) return say(JSON.stringify([{ file, key, made }], null, 2));
      say(made ? `made ${file}: a private key, keep it secret` : `${file} is there already`);
      say(`Where its images shall be taken in, write in site.yaml:\n\nimages:\n  trust: [${key}]`);
    });

  image
    .command('export')
    .description('write an image into one signed file')
    .argument('<image>', imageWord)
    .argument('<file>', 'such as universal.tar')
    .requiredOption(
      '--key <file>',
      'the private key to sign with: rolecall image key FILE makes one',
    )
    .option('--force', 'write over a file that is there')
    .action(async (word: string, file: string, options: { key: string; force?: boolean }) => {
      const { state, json } = globals();
      const store = openImageStore(state);
      const found = await findImage(store, word);
      const key = readSigningKey(await readFile(options.key, 'utf8'), options.key);
      if (existsSync(file) && !options.force) {
        throw new AppError('file-exists', `${file} is there already`, 'another name, or --force');
      }
      if (!existsSync(dirname(resolve(file)))) {
        throw new AppError('no-folder', `there is no folder ${dirname(resolve(file))}`, 'make it');
      }
      const use = await useImages(state, [found.digest]);
      await exportImage(found, store, key, resolve(file)).finally(use.release);
      const row = { digest: found.digest, file, key: publicHalf(key) };
      if (json) return say(JSON.stringify([row], null, 2));
      say(`wrote ${file}: ${found.manifest.name} ${shortDigest(found)}, signed by ${row.key}`);
    });

  image
    .command('import')
    .description('take in an image from such a file, if the site trusts its key')
    .argument('<file>')
    .option('--publish', 'let nodes boot it from their next boot on')
    .action(async (file: string, options: { publish?: boolean }) => {
      const { state, site: dir, json } = globals();
      const site = await loadSite(dir);
      if (!site.ok) throw new AppError('invalid-site', renderProblems(site.problems));
      const { trust } = site.value.images;
      const published = options.publish === true;
      const store = openImageStore(state);
      const found = await underBuildLock(state, async () => {
        const taken = await importImage(file, store, trust);
        await store.tag(taken.digest, 'built');
        return taken;
      });
      const { name, architecture } = found.manifest;
      if (published) {
        const { refusal } = await askPublishGate(globals(), store, found);
        if (refusal) {
          const message = `${name} ${found.digest} is taken in, and not published:\n${refusal.message}`;
          throw new AppError(refusal.code, message, refusal.hint);
        }
        await store.tag(found.digest, 'published');
      }
      const row = { name, architecture, digest: found.digest, published };
      if (json) return say(JSON.stringify([row], null, 2));
      say(`took in ${name} ${architecture} ${found.digest}`);
      say(
        published
          ? 'published: nodes boot it from now on'
          : `not published: rolecall image publish ${shortDigest(found)}`,
      );
    });
}
