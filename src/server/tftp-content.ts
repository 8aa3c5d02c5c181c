import { readFile } from 'node:fs/promises';
import { autoexecName, grubStartNames, loaderFolder } from '../boot/boot-paths.ts';
import type { Blob } from '../boot/image-manifest.ts';
import type { ImageStore } from '../images/image-store.ts';
import { renderGrubStart } from '../pxe/grub-config.ts';
import { renderAutoexec } from '../pxe/loader-scriptlet.ts';

/** Finds the bytes of a TFTP name; `server` is the HTTP side's URL. */
export type OpenLoader = (
  name: string,
  server: string,
  loaders: Readonly<Record<string, Blob>>,
) => Promise<Uint8Array | undefined>;

/** Loaders that were replaced by a newer image are forgotten when so many others were asked for. */
const mostHeld = 16;

/**
 * Opens the loader of a TFTP name such as `boot/loader/undionly.kpxe`, or its script; undefined for any other name.
 * A loader is read from disk once: a few MiB, and a rack asks for it in the same second.
 */
export function createLoaders(images: ImageStore): OpenLoader {
  const held = new Map<string, Promise<Uint8Array>>();
  const autoexec = Buffer.from(renderAutoexec());
  const grubStarts = new Map<string, Uint8Array>();

  function grubStart(server: string): Uint8Array {
    const bytes = grubStarts.get(server) ?? Buffer.from(renderGrubStart(server));
    grubStarts.set(server, bytes);
    return bytes;
  }

  function hold(blob: Blob): Promise<Uint8Array> {
    const bytes = held.get(blob.digest) ?? readLoader(images.blobPath(blob.digest), blob.size);
    // Put at the end again: the first is then the one that was not asked for longest.
    held.delete(blob.digest);
    held.set(blob.digest, bytes);
    bytes.catch(() => held.delete(blob.digest));
    for (const digest of held.keys()) {
      if (held.size <= mostHeld) break;
      held.delete(digest);
    }
    return bytes;
  }

  return async (name, server, loaders) => {
    if (name === autoexecName) return autoexec;
    if (grubStartNames.includes(name)) return grubStart(server);
    if (!name.startsWith(`${loaderFolder}/`)) return undefined;
    const file = name.slice(loaderFolder.length + 1);
    const blob = Object.hasOwn(loaders, file) ? loaders[file] : undefined;
    return blob && hold(blob);
  };
}

async function readLoader(path: string, size: number): Promise<Uint8Array> {
  const bytes = await readFile(path);
  if (bytes.length !== size) throw new Error(`${path} has ${bytes.length} bytes, not ${size}`);
  return bytes;
}
