import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImageManifest } from '../src/boot/image-manifest.ts';
import { openImageStore } from '../src/images/image-store.ts';
import { loadersOf } from '../src/pxe/loader-by-client.ts';
import { loadRoles } from '../src/roles/load-roles.ts';

const flavours = [undefined, 'native', 'firmware'] as const;

/** Every loader that any machine may be given. */
const allLoaders: readonly string[] = [
  ...new Set(
    [false, true].flatMap((secureBoot) =>
      flavours.flatMap((flavour) => loadersOf({ secureBoot, flavour })),
    ),
  ),
];

/** What stands in the stored image for a loader, the kernel, the initramfs or the root. */
export function contentOf(part: string): string {
  return `the bytes of ${part}\n`.repeat(1000);
}

/** Publishes an image of a few bytes in a state folder; its manifest says what the roles that ship ask for. */
export async function storeImage(state: string): Promise<void> {
  const store = openImageStore(state);
  const folder = await mkdtemp(join(tmpdir(), 'rc-parts-'));
  const add = async (part: string) => {
    const file = join(folder, part);
    await writeFile(file, contentOf(part));
    return store.addBlob(file);
  };
  const loaders: ImageManifest['loaders'] = Object.fromEntries(
    await Promise.all(allLoaders.map(async (name) => [name, await add(name)] as const)),
  );
  const roles = await loadRoles(folder);
  if (!roles.ok) throw new Error(JSON.stringify(roles.problems));
  const all = [...roles.value.values()];
  const install = { alias: [], wantedBy: ['multi-user.target'], requiredBy: [], also: [] };
  const image = await store.addImage({
    format: 2,
    name: 'universal',
    architecture: 'amd64',
    suite: 'trixie',
    kernelVersion: '6.12',
    kernel: await add('kernel'),
    initramfs: await add('initramfs'),
    root: [await add('root')],
    loaders,
    packages: Object.fromEntries(all.flatMap((role) => role.packages.map((p) => [p, '1']))),
    units: Object.fromEntries(
      [...all.flatMap((role) => role.units), 'getty@.service'].map((unit) => [unit, install]),
    ),
    users: {},
    groups: {},
  });
  await store.tag(image.digest, 'published');
  await rm(folder, { recursive: true });
}
