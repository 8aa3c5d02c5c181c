import { AppError } from '../errors.ts';
import { openImageStore } from '../images/image-store.ts';

/** Files of the published image that the lab itself needs; absolute. */
export interface LabImage {
  readonly kernel: string;
  /** iPXE as a network card's ROM; undefined where the image brings none. */
  readonly rom?: string;
}

/** Name, among the image's loaders, of the ROM that BIOS guests' network cards get. */
const labRom = 'lab/pxe-virtio.rom';

/** The published image `universal` of the state folder; built and published first where there is none. */
export async function ensureImage(
  state: string,
  _site: string,
  _say: (line: string) => void,
): Promise<LabImage> {
  const store = openImageStore(state);
  const image = await store.resolve('universal', 'amd64');
  if (!image)
    throw new AppError('lab-no-image', 'no image is published', 'rolecall build --publish');
  const { kernel, loaders } = image.manifest;
  const rom = loaders[labRom];
  return {
    kernel: store.blobPath(kernel.digest),
    ...(rom === undefined ? {} : { rom: store.blobPath(rom.digest) }),
  };
}
