import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageFacts, UnitInstall } from '../roles/image-facts.ts';
import { parseUnitInstall } from '../roles/unit-file.ts';
import { deb822Fields } from './apt-sources.ts';

/** Where systemd looks for a distribution's and an administrator's units; later folders win. */
const unitFolders = ['usr/lib/systemd/system', 'etc/systemd/system'];

/** Packages, units, users and groups of the unpacked root at `root`; what is absent is empty. */
export async function readImageFacts(root: string): Promise<ImageFacts> {
  const text = (path: string) => readFile(join(root, path), 'utf8').catch(() => '');
  return {
    packages: parseDpkgStatus(await text('var/lib/dpkg/status')),
    units: await readUnits(root),
    users: parsePasswd(await text('etc/passwd')),
    groups: parseGroup(await text('etc/group')),
  };
}

/** Version by name of the installed packages in dpkg's status file. */
function parseDpkgStatus(text: string): Record<string, string> {
  const packages: [string, string][] = [];
  for (const stanza of text.split('\n\n')) {
    const field = deb822Fields(stanza);
    const name = field.get('package');
    const version = field.get('version');
    if (name && version && field.get('status') === 'install ok installed') {
      packages.push([name, version]);
    }
  }
  return Object.fromEntries(packages.sort(byName));
}

/** User and group id by name, passwd(5). */
function parsePasswd(text: string): Record<string, { uid: number; gid: number }> {
  return Object.fromEntries(
    rows(text)
      .map(([name = '', , uid, gid]): [string, { uid: number; gid: number }] => [
        name,
        { uid: Number(uid), gid: Number(gid) },
      ])
      .sort(byName),
  );
}

/** Group id by name, group(5). */
function parseGroup(text: string): Record<string, number> {
  return Object.fromEntries(
    rows(text)
      .map(([name = '', , gid]): [string, number] => [name, Number(gid)])
      .sort(byName),
  );
}

async function readUnits(root: string): Promise<Record<string, UnitInstall>> {
  const units = new Map<string, UnitInstall>();
  for (const folder of unitFolders) {
    const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      // A link is another unit's alias or a mask: systemctl refuses to enable either.
      if (!entry.isFile() || !isUnitName(entry.name)) continue;
      const text = await readFile(join(root, folder, entry.name), 'utf8');
      units.set(entry.name, parseUnitInstall(text));
    }
  }
  return Object.fromEntries([...units].sort(byName));
}

function isUnitName(name: string): boolean {
  return /\.(service|socket|target|timer|path|mount|automount|swap|slice)$/.test(name);
}

function rows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.includes(':'))
    .map((line) => line.split(':'));
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
