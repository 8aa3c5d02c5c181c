import { AppError } from '../errors.ts';
import { comparePackages } from '../images/compare-images.ts';
import {
  type ImageListing,
  type ImageStore,
  openImageStore,
  partsOf,
} from '../images/image-store.ts';
import { type RegisterCommand, say } from './command.ts';
import { renderTable } from './table.ts';

export const register: RegisterCommand = (program, globals) => {
  const image = program.command('image').description('the images in the store');
  const json = () => globals().json;
  const store = () => openImageStore(globals().state);

  image
    .command('ls')
    .description('list the images')
    .action(async () => {
      const rows = (await store().list()).map(rowOf);
      if (json()) return say(JSON.stringify(rows, null, 2));
      if (rows.length === 0) return say('no image yet: rolecall build');
      say(
        renderTable(
          ['image', 'architecture', 'digest', 'tags', 'kernel', 'packages', 'root'],
          rows.map((row) => [
            row.name,
            row.architecture,
            row.digest.slice(0, 12),
            row.tags.join(' '),
            row.kernelVersion,
            String(row.packages),
            mebibytes(row.size.root),
          ]),
        ),
      );
    });

  image
    .command('show')
    .description("show an image's parts")
    .argument('<image>', 'name, or the first digits of its digest, four or more')
    .action(async (word: string) => {
      const found = await findImage(store(), word);
      if (json()) return say(JSON.stringify([found], null, 2));
      const row = rowOf(found);
      say(`${row.name} ${row.architecture} (${found.manifest.suite})`);
      say(`digest    ${row.digest}`);
      say(`tags      ${row.tags.join(' ') || 'none'}`);
      say(`kernel    ${row.kernelVersion}`);
      say(`packages  ${row.packages}`);
      say('');
      say(
        renderTable(
          ['part', 'size', 'digest'],
          partsOf(found.manifest).map(([part, blob]) => [part, mebibytes(blob.size), blob.digest]),
        ),
      );
    });

  image
    .command('diff')
    .description('compare packages and sizes of two images')
    .argument('<from>', 'name, or the first digits of its digest, four or more')
    .argument('<to>', 'the same of the other image')
    .action(async (first: string, second: string) => {
      const opened = store();
      const from = await findImage(opened, first);
      const to = await findImage(opened, second);
      const packages = comparePackages(from.manifest.packages, to.manifest.packages);
      const [before, after] = [rowOf(from).size, rowOf(to).size];
      const sizes = (['kernel', 'initramfs', 'root'] as const).map((part) => ({
        ...{ part, from: before[part], to: after[part] },
      }));
      if (json()) {
        const diff = { from: from.digest, to: to.digest, packages, sizes };
        return say(JSON.stringify([diff], null, 2));
      }
      if (from.digest === to.digest) return say('the same image');
      say(
        packages.length === 0
          ? 'the same packages in the same versions'
          : renderTable(
              ['package', 'change', 'from', 'to'],
              packages.map((p) => [p.package, p.change, p.from ?? '-', p.to ?? '-']),
            ),
      );
      say('');
      say(
        renderTable(
          ['part', 'from', 'to', 'bytes more'],
          sizes.map((s) => [s.part, mebibytes(s.from), mebibytes(s.to), String(s.to - s.from)]),
        ),
      );
    });

  image
    .command('verify')
    .description('read the stored images and compare every digest')
    .argument('[image]', 'name, or the first digits of its digest, four or more; all by default')
    .action(async (word: string | undefined) => {
      const opened = store();
      const digests =
        word !== undefined ? [(await findImage(opened, word)).digest] : await opened.digests();
      const damage = (await Promise.all(digests.map((digest) => opened.verify(digest)))).flat();
      if (json()) say(JSON.stringify(damage, null, 2));
      else if (damage.length === 0) say(`images: ${digests.length}, every digest as it should be`);
      if (damage.length === 0) return;
      throw new AppError(
        'damaged-image',
        damage
          .map((d) => `image ${d.image.slice(0, 12)}: ${d.part} ${d.digest} ${d.message}`)
          .join('\n'),
        'rolecall build stores missing parts anew; look for a failing disk',
      );
    });

  image
    .command('publish')
    .description('let nodes boot this image from their next boot on')
    .argument('<image>', 'name (its newest build), or the first digits of its digest, four or more')
    .action(async (word: string) => {
      const opened = store();
      const found = await findImage(opened, word);
      const damage = await opened.verify(found.digest);
      if (damage.length > 0) {
        throw new AppError(
          'damaged-image',
          `the image ${found.digest} is damaged: ${damage.map((d) => `${d.part} ${d.message}`).join(', ')}`,
          'rolecall build',
        );
      }
      await opened.tag(found.digest, 'published');
      if (json()) return say(JSON.stringify([{ digest: found.digest, published: true }], null, 2));
      say(`published: nodes boot ${found.manifest.name} ${found.digest.slice(0, 12)} from now on`);
    });
};

/** The image whose digest begins so, or the newest build of that name. */
async function findImage(store: ImageStore, word: string): Promise<ImageListing> {
  const images = await store.list();
  const named = images.filter((i) => i.manifest.name === word);
  if (named.length === 0 && /^[0-9a-f]{0,3}$/.test(word)) {
    const what = word === '' ? 'an empty word' : word;
    throw new AppError(
      'usage',
      `${what} is no name and less than four digits`,
      'rolecall image ls',
    );
  }
  const found =
    named.length > 0
      ? named.filter((i) => named.length === 1 || i.tags.includes('built'))
      : images.filter((i) => i.digest.startsWith(word));
  const [only, ...more] = found;
  if (only && more.length === 0) return only;
  throw new AppError(
    'no-such-image',
    only ? `${word} may be any of ${found.length} images` : `no image ${word} in the store`,
    'rolecall image ls',
  );
}

function rowOf({ digest, manifest, tags }: ImageListing) {
  const { name, architecture, kernelVersion, packages } = manifest;
  return {
    ...{ name, architecture, digest, tags, kernelVersion },
    packages: Object.keys(packages).length,
    size: {
      kernel: manifest.kernel.size,
      initramfs: manifest.initramfs.size,
      root: manifest.root.size,
    },
  };
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}
