import { open } from 'node:fs/promises';
import { autoexecName, grubStartNames, loaderFolder } from '../boot/boot-paths.ts';
import type { Blob } from '../boot/image-manifest.ts';
import type { ImageStore } from '../images/image-store.ts';
import { renderGrubStart } from '../pxe/grub-config.ts';
import { renderAutoexec } from '../pxe/loader-scriptlet.ts';
import type { TftpContent } from '../pxe/tftp-sender.ts';

/**
 * The loader of a TFTP name such as `boot/loader/undionly.kpxe`, or its script; undefined for any other name.
 * `server` is the HTTP side's URL.
 */
export async function openLoader(
  name: string,
  server: string,
  loaders: Readonly<Record<string, Blob>>,
  images: ImageStore,
): Promise<TftpContent | undefined> {
  if (name === autoexecName) return bytesContent(Buffer.from(renderAutoexec()));
  if (grubStartNames.includes(name)) return bytesContent(Buffer.from(renderGrubStart(server)));
  if (!name.startsWith(`${loaderFolder}/`)) return undefined;
  const file = name.slice(loaderFolder.length + 1);
  const blob = Object.hasOwn(loaders, file) ? loaders[file] : undefined;
  if (!blob) return undefined;
  const handle = await open(images.blobPath(blob.digest));
  return {
    size: blob.size,
    async read(offset, length) {
      const bytes = Buffer.alloc(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
        if (bytesRead === 0) throw new Error(`${name} is shorter than its ${blob.size} bytes`);
        filled += bytesRead;
      }
      return bytes;
    },
    close: () => void handle.close(),
  };
}

function bytesContent(bytes: Uint8Array): TftpContent {
  return {
    size: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
}
