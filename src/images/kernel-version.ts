import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.ts';

/** `uname -r` of the one kernel in an unpacked root; undefined where there is none. Refuses two. */
export async function findKernelVersion(root: string): Promise<string | undefined> {
  const folder = join(root, 'usr/lib/modules');
  const names = (await readdir(folder).catch(() => [])).sort();
  if (names.length > 1) {
    throw new AppError(
      'two-kernels',
      `the root holds more than one kernel: ${names.join(', ')}`,
      'name one kernel package in the image definition',
    );
  }
  return names[0];
}

/** Like findKernelVersion, but an image without a kernel is refused. */
export async function requireKernelVersion(root: string): Promise<string> {
  const version = await findKernelVersion(root);
  if (version !== undefined) return version;
  throw new AppError(
    'no-kernel',
    'the root holds no kernel',
    "name the kernel's package for this architecture under kernel: in the image definition",
  );
}
