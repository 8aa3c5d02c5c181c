import { copyFile, link, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '../digest.ts';
import type { PackageCache } from './package-cache.ts';
import { inParallel } from './package-cache.ts';
import type { LockedPackage } from './package-lock.ts';

/**
 * Makes a folder a Debian repository of exactly these packages, flat as in sources.list(5): apt checks each file
 * against the digest of the lock.
 */
export async function writeLocalRepository(
  folder: string,
  suite: string,
  packages: readonly LockedPackage[],
  cache: PackageCache,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const stanzas = new Map<LockedPackage, string>();
  await inParallel(4, packages, async (of) => {
    const name = `${of.digest}.deb`;
    await link(cache.file(of), join(folder, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EXDEV') throw error;
      return copyFile(cache.file(of), join(folder, name));
    });
    const fields = [`Filename: ./${name}`, `Size: ${of.size}`, `SHA256: ${of.digest}`];
    stanzas.set(of, `${(await cache.control(of)).trim()}\n${fields.join('\n')}\n`);
  });
  const index = packages.map((of) => stanzas.get(of)).join('\n');
  await writeFile(join(folder, 'Packages'), index);
  await writeFile(
    join(folder, 'Release'),
    [
      ...['Origin: Debian', `Suite: ${suite}`, `Codename: ${suite}`],
      ...['SHA256:', ` ${digestOf(index)} ${Buffer.byteLength(index)} Packages`, ''],
    ].join('\n'),
  );
}
