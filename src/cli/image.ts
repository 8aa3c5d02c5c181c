import { rootSize } from '../boot/image-manifest.ts';
import { AppError } from '../errors.ts';
import { comparePackages } from '../images/compare-images.ts';
import {
  type ImageListing,
  type ImageStore,
  openImageStore,
  partsOf,
  type StoredImage,
} from '../images/image-store.ts';
import { type ImageTests, parseImageTests } from '../images/image-tests.ts';
import { type Provenance, parseProvenance } from '../images/note-build.ts';
import { readImageSizes } from '../images/read-image-sizes.ts';
import { type RegisterCommand, say } from './command.ts';
import { findImage, imageWord, mebibytes } from './find-image.ts';
import { registerCarry } from './image-carry.ts';
import { registerGc } from './image-gc.ts';
import { registerPublish } from './image-publish.ts';
import { registerSbom } from './image-sbom.ts';
import { registerTest } from './image-test.ts';
import { renderTable } from './table.ts';

export const register: RegisterCommand = (program, globals) => {
  const image = program.command('image').description('the images in the store');
  const json = () => globals().json;
  const store = () => openImageStore(globals().state);

  image
    .command('ls')
    .description('list the images')
    .action(async () => {
      const opened = store();
      const rows = await Promise.all(
        (await opened.list()).map(async (found) => ({
          ...rowOf(found),
          published: (await stepOf(opened, found)) ?? null,
          tests: await testsOf(opened, found),
        })),
      );
      if (json()) return say(JSON.stringify(rows, null, 2));
      if (rows.length === 0) return say('no image yet: rolecall build');
      say(
        renderTable(
          ['image', 'architecture', 'digest', 'tags', 'tested as', 'kernel', 'packages', 'root'],
          rows.map((row) => [
            row.name,
            row.architecture,
            row.digest.slice(0, 12),
            [...row.tags, ...(row.published ? [before(row.published)] : [])].join(' '),
            row.tests ? summarizeTests(row.tests) : 'not tested',
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
    .argument('<image>', imageWord)
    .option('--sizes', 'show what makes it big: packages, folders, what was pruned')
    .action(async (word: string, { sizes }: { sizes?: boolean }) => {
      const opened = store();
      const found = await findImage(opened, word);
      if (sizes) return showSizes(opened, found, json());
      const tests = await testsOf(opened, found);
      const provenance = parseProvenance(await opened.note(found.digest, 'provenance')) ?? null;
      if (json()) return say(JSON.stringify([{ ...found, tests, provenance }], null, 2));
      const row = rowOf(found);
      say(`${row.name} ${row.architecture} (${found.manifest.suite})`);
      say(`digest    ${row.digest}`);
      say(`tags      ${row.tags.join(' ') || 'none'}`);
      say(`kernel    ${row.kernelVersion}`);
      say(`packages  ${row.packages}`);
      if (provenance) for (const line of describeProvenance(provenance)) say(line);
      say('');
      say(
        renderTable(
          ['part', 'size', 'digest'],
          partsOf(found.manifest).map(([part, blob]) => [part, mebibytes(blob.size), blob.digest]),
        ),
      );
      say('');
      if (!tests) return say(`not tested: rolecall image test ${row.digest.slice(0, 12)}`);
      say(
        renderTable(
          ['role', 'test', 'when', 'detail'],
          Object.entries(tests.roles).map(([role, { outcome, at, detail }]) => [
            role,
            outcome,
            at,
            detail,
          ]),
        ),
      );
    });

  image
    .command('diff')
    .description('compare packages and sizes of two images')
    .argument('<from>', imageWord)
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
    .argument('[image]', `${imageWord}; all by default`)
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

  registerSbom(image, globals);
  registerTest(image, globals);
  registerPublish(image, globals);
  registerCarry(image, globals);
  registerGc(image, globals);
};

async function showSizes(store: ImageStore, { digest, manifest }: StoredImage, json: boolean) {
  const sizes = await readImageSizes(store, manifest);
  if (json) return say(JSON.stringify([{ digest, ...sizes }], null, 2));
  const most = 20;
  const share = (bytes: number) => `${((bytes / sizes.bytes) * 100).toFixed(1)} %`;
  say(
    renderTable(
      ['package', 'in the root', 'of it', 'pruned'],
      sizes.packages
        .slice(0, most)
        .map((p) => [
          p.package,
          mebibytes(p.bytes),
          share(p.bytes),
          p.pruned > 0 ? mebibytes(p.pruned) : '-',
        ]),
    ),
  );
  say('');
  say(
    renderTable(
      ['folder', 'with all below', 'of it'],
      sizes.folders.slice(0, most).map((f) => [f.folder, mebibytes(f.bytes), share(f.bytes)]),
    ),
  );
  const pruned = sizes.packages.reduce((sum, { pruned }) => sum + pruned, 0);
  const rest = sizes.packages.length - most;
  say('');
  say(`${sizes.packages.length} packages${rest > 0 ? `, ${rest} not shown (--json has all)` : ''}`);
  say(`unpacked  ${mebibytes(sizes.bytes)}, ${mebibytes(sizes.unowned)} of it of no package`);
  say(`packed    ${mebibytes(rootSize(manifest.root))}`);
  say(`pruned    ${mebibytes(pruned)} about, by prune: and hardware: of the image definition`);
}

/** How many publications ago the image was the published one, 0 where it is; undefined where never. */
async function stepOf(store: ImageStore, { digest, manifest }: ImageListing) {
  const step = (await store.published(manifest.name, manifest.architecture)).indexOf(digest);
  return step < 0 ? undefined : step;
}

/** What `image test` found; null where it was never run. */
async function testsOf(store: ImageStore, { digest }: ImageListing) {
  return parseImageTests(await store.note(digest, 'tests')) ?? null;
}

/** Lines of what decided the bytes of an image. */
function describeProvenance({ tools, steps, packages, lock }: Provenance): readonly string[] {
  return [
    `tools     ${Object.values(tools).join(', ')}`,
    `lock      ${packages} packages, ${lock}`,
    `steps     ${steps.map(({ id, key }) => `${id} ${key.slice(0, 12)}`).join(', ')}`,
  ];
}

/** `base, spare, web`, with a word at each role that did not pass. */
function summarizeTests({ roles }: ImageTests): string {
  return Object.entries(roles)
    .map(([role, { outcome }]) => (outcome === 'passed' ? role : `${role} (${outcome})`))
    .join(', ');
}

const before = (step: number) => (step === 1 ? 'before' : `before-${step}`);

function rowOf({ digest, manifest, tags }: ImageListing) {
  const { name, architecture, kernelVersion, packages } = manifest;
  return {
    ...{ name, architecture, digest, tags, kernelVersion },
    packages: Object.keys(packages).length,
    size: {
      kernel: manifest.kernel.size,
      initramfs: manifest.initramfs.size,
      root: rootSize(manifest.root),
    },
  };
}
