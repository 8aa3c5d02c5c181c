import { nodeArchitecture } from '../boot/node-architecture.ts';
import { AppError } from '../errors.ts';
import { buildImage } from '../images/build-image.ts';
import type { BuildEvent } from '../images/execute-build.ts';
import { openImageStore } from '../images/image-store.ts';
import { loadImageDefinition } from '../images/load-image-definition.ts';
import { readLockFile, siteLockFile } from '../images/lock-file.ts';
import { loadRoles } from '../roles/load-roles.ts';
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
 * The image `universal` for this site, built and published in the state folder where it is not yet.
 * Does no work where nothing has changed since it was built.
 */
export async function ensureImage(
  state: string,
  site: string,
  onEvent: (event: BuildEvent) => void,
): Promise<LabImage> {
  const [definition, roles] = await Promise.all([
    loadImageDefinition(site, 'universal'),
    loadRoles(site),
  ]);
  const problems = [definition, roles].flatMap((r) => (r.ok ? [] : r.problems));
  if (!definition.ok || !roles.ok) {
    throw new AppError(
      'invalid-site',
      problems.map((p) => `${p.file}:${p.line}: ${p.message}`).join('\n'),
      problems[0]?.hint ?? '',
    );
  }
  // The lab's site is a copy: its lock says what to rehearse, and nobody's folder is written to.
  const lockFile = siteLockFile(site, 'universal', nodeArchitecture);
  const own = await readLockFile(lockFile);
  const { image } = await buildImage({
    definition: definition.value,
    architecture: nodeArchitecture,
    state,
    rolePackages: [...roles.value.values()].flatMap((role) => role.packages),
    publish: true,
    versions: 'extend',
    ...(own ? { lockFile } : {}),
    now: Date.now,
    onEvent,
  });
  const store = openImageStore(state);
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
