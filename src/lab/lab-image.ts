import { join } from 'node:path';
import { nodeArchitecture } from '../boot/node-architecture.ts';
import { AppError } from '../errors.ts';
import { buildImage } from '../images/build-image.ts';
import type { BuildEvent } from '../images/execute-build.ts';
import { type ImageStore, openImageStore, type StoredImage } from '../images/image-store.ts';
import { loadImageDefinition } from '../images/load-image-definition.ts';
import { readLockFile, siteLockFile } from '../images/lock-file.ts';
import { loadRoles } from '../roles/load-roles.ts';
import { loadSite } from '../site/load-site.ts';
import { waitForFileLock } from '../system/file-lock.ts';
import type { Roms } from './vm.ts';

/** Files of the published image that the lab itself needs; absolute. */
export interface LabImage {
  /** Its digest. */
  readonly image: string;
  readonly kernel: string;
  /** iPXE as a network card's ROM, as far as the image brings it. */
  readonly roms: Roms;
}

/** Names, among the image's loaders, of the ROMs that BIOS guests' network cards get. */
const labRoms = {
  'virtio-net-pci': 'lab/pxe-virtio.rom',
  e1000: 'lab/pxe-e1000.rom',
} satisfies Roms;

/**
 * The images that nodes of this site name, and `universal`, which it gives back: built and published in the state
 * folder where they are not yet. Does no work where nothing has changed since they were built. Of several labs
 * that want them at once one builds, and the others wait for it.
 */
export async function ensureImage(
  state: string,
  site: string,
  onEvent: (event: BuildEvent) => void,
): Promise<LabImage> {
  const loaded = await loadSite(site);
  const nodes = loaded.ok ? [...loaded.value.nodes.values()] : [];
  const turn = await waitForFileLock(join(state, 'labs.lock'));
  try {
    for (const name of new Set(nodes.map((node) => node.image))) {
      if (name !== 'universal') await buildForLab(state, site, name, onEvent);
    }
    const image = await buildForLab(state, site, 'universal', onEvent);
    return labImageOf(openImageStore(state), image);
  } finally {
    await turn.release();
  }
}

/** What the lab needs of an image in the store. */
export function labImageOf(store: ImageStore, image: StoredImage): LabImage {
  const { kernel, loaders } = image.manifest;
  return {
    image: image.digest,
    kernel: store.blobPath(kernel.digest),
    roms: Object.fromEntries(
      Object.entries(labRoms).flatMap(([card, name]) => {
        const rom = loaders[name];
        return rom ? [[card, store.blobPath(rom.digest)]] : [];
      }),
    ),
  };
}

async function buildForLab(
  state: string,
  site: string,
  name: string,
  onEvent: (event: BuildEvent) => void,
): Promise<StoredImage> {
  const [definition, roles] = await Promise.all([loadImageDefinition(site, name), loadRoles(site)]);
  const problems = [definition, roles].flatMap((r) => (r.ok ? [] : r.problems));
  if (!definition.ok || !roles.ok) {
    throw new AppError(
      'invalid-site',
      problems.map((p) => `${p.file}:${p.line}: ${p.message}`).join('\n'),
      problems[0]?.hint ?? '',
    );
  }
  // The lab's site is a copy: its lock says what to rehearse, and nobody's folder is written to.
  const lockFile = (image: string) => siteLockFile(site, image, nodeArchitecture);
  const own = await readLockFile(lockFile(name));
  const { image } = await buildImage({
    definition: definition.value,
    architecture: nodeArchitecture,
    state,
    rolePackages: [...roles.value.values()].flatMap((role) => role.packages),
    publish: true,
    mayPublish: async () => true,
    versions: 'extend',
    ...(own ? { lockFile } : {}),
    now: Date.now,
    onEvent,
  });
  return image;
}
