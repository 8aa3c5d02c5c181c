import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deb822Fields } from './apt-sources.ts';

/** File of a build step's output that holds what {@link readSoftware} found. */
export const softwareFile = 'software.json';

/** A Debian package as it is installed. */
export interface Software {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Source package, and its version where that is another. */
  readonly source: string;
  readonly sourceVersion: string;
  /** Short names as its copyright file has them, sorted; none where that file is free text or not there. */
  readonly licenses: readonly string[];
}

/** The packages installed in the unpacked root at `root`, by name. */
export async function readSoftware(root: string): Promise<readonly Software[]> {
  const status = await readFile(join(root, 'var/lib/dpkg/status'), 'utf8').catch(() => '');
  const found = parseSoftware(status);
  return Promise.all(
    found.map(async (one) => {
      const file = join(root, 'usr/share/doc', one.name, 'copyright');
      return { ...one, licenses: parseLicenses(await readFile(file, 'utf8').catch(() => '')) };
    }),
  );
}

/** Installed packages of dpkg's status file, sorted by name. */
export function parseSoftware(status: string): readonly Omit<Software, 'licenses'>[] {
  return status
    .split('\n\n')
    .map(deb822Fields)
    .filter((field) => field.get('status') === 'install ok installed')
    .map((field) => {
      const name = field.get('package') ?? '';
      const version = field.get('version') ?? '';
      // `Source: glibc (2.41-12)`: the version only where it differs (Debian policy 5.6.1).
      const [, source, sourceVersion] =
        /^(\S+)(?: \((.+)\))?$/.exec(field.get('source') ?? '') ?? [];
      return {
        ...{ name, version, architecture: field.get('architecture') ?? '' },
        ...{ source: source ?? name, sourceVersion: sourceVersion ?? version },
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Short names of the licences in a machine-readable copyright file (DEP-5), sorted, each once; none in a file of
 * free text.
 */
export function parseLicenses(copyright: string): readonly string[] {
  if (!/^Format(-Specification)?:/im.test(copyright.slice(0, 2000))) return [];
  const names = [...copyright.matchAll(/^License:[ \t]*(\S.*)$/gim)].map(([, name = '']) =>
    name.trim().replaceAll(/\s+/g, ' '),
  );
  return [...new Set(names)].sort();
}
