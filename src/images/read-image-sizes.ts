import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImageManifest } from '../boot/image-manifest.ts';
import { runProgram } from '../system/run-program.ts';
import { deb822Fields } from './apt-sources.ts';
import {
  type ImageSizes,
  type InstalledPackage,
  type ListedFile,
  measureImage,
  parseSquashfsListing,
  stackListings,
} from './image-sizes.ts';
import type { ImageStore } from './image-store.ts';

/** What makes the stored image's root big. Reads its layers with unsquashfs(1); needs no root. */
export async function readImageSizes(
  store: Pick<ImageStore, 'blobPath'>,
  { root }: ImageManifest,
): Promise<ImageSizes> {
  const folder = await mkdtemp(join(tmpdir(), 'rolecall-sizes-'));
  try {
    const layers: ListedFile[][] = [];
    for (const { digest } of root) {
      const file = store.blobPath(digest);
      const { stdout } = await runProgram('unsquashfs', ['-lln', file], { env: { LC_ALL: 'C' } });
      layers.push(parseSquashfsListing(stdout));
      // What dpkg knows, of the layers one over the other. 2: as no root it cannot set owners.
      const database = ['var/lib/dpkg/info', 'var/lib/dpkg/status'];
      const how = ['-quiet', '-no-progress', '-no-xattrs', '-force', '-dest', join(folder, 'root')];
      await runProgram('unsquashfs', [...how, file, ...database], { accept: [1, 2] });
    }
    const installed = await readInstalled(join(folder, 'root/var/lib/dpkg'));
    return measureImage(stackListings(layers), installed);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function readInstalled(dpkg: string): Promise<InstalledPackage[]> {
  const status = await readFile(join(dpkg, 'status'), 'utf8').catch(() => '');
  const lists = new Set(await readdir(join(dpkg, 'info')).catch(() => []));
  const found: InstalledPackage[] = [];
  for (const stanza of status.split('\n\n')) {
    const field = deb822Fields(stanza);
    const name = field.get('package');
    if (!name || !field.get('status')?.endsWith(' installed')) continue;
    // A package that may be there for several architectures has its own in the name of its list.
    const list = [`${name}.list`, `${name}:${field.get('architecture')}.list`].find((file) =>
      lists.has(file),
    );
    const text = list ? await readFile(join(dpkg, 'info', list), 'utf8') : '';
    const installed = Number(field.get('installed-size') ?? 0) * 1024;
    found.push({ name, installed, paths: text.split('\n').filter((path) => path !== '') });
  }
  return found;
}
