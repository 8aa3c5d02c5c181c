import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import { packagesOf } from '../../../src/images/note-build.ts';
import type { PackageLock } from '../../../src/images/package-lock.ts';
import { packageUrl, renderSbom, type SbomPackage } from '../../../src/images/sbom.ts';
import { parseLicenses, parseSoftware } from '../../../src/images/software-of-root.ts';

/** The schemas that CycloneDX publishes, as its own library brings them. */
const schemas = join(
  dirname(createRequire(import.meta.url).resolve('@cyclonedx/cyclonedx-library/package.json')),
  'res/schema',
);
const schema = (name: string) =>
  JSON.parse(readFileSync(join(schemas, `${name}.SNAPSHOT.schema.json`), 'utf8'));

function validator(): ValidateFunction {
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  for (const name of ['spdx', 'jsf-0.82']) {
    // As the files of the library name one another.
    ajv.addSchema(schema(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
  }
  return ajv.compile(schema('bom-1.6'));
}

const subject = {
  ...{ name: 'universal', architecture: 'amd64', suite: 'trixie' },
  kernelVersion: '6.12.118+deb13-amd64',
};
const curl: SbomPackage = {
  ...{ name: 'curl', version: '8.14.1-2+deb13u1', architecture: 'amd64', source: 'curl' },
  ...{ sourceVersion: '8.14.1-2+deb13u1', licenses: ['ISC', 'curl'], installed: true },
  digest: digestOf('curl.deb'),
};
const ipxe: SbomPackage = {
  ...{ name: 'ipxe', version: '1.21.1+git20220113-1', architecture: 'all', source: 'ipxe' },
  ...{ sourceVersion: '1.21.1+git20220113-1', licenses: [], installed: false },
};

describe('a bill of materials', () => {
  it('is CycloneDX 1.6 by the schema that CycloneDX publishes', () => {
    const validate = validator();
    const bom = JSON.parse(renderSbom(subject, [ipxe, curl]));
    expect(validate(bom), JSON.stringify(validate.errors)).toBe(true);
    // The schema is one that can refuse.
    expect(validate({ ...bom, components: [{ name: 'x' }] })).toBe(false);
    expect(validate({ ...bom, serialNumber: 'urn:uuid:1' })).toBe(false);
  });

  it('names each package with version, architecture, licences, and its hash where that is known', () => {
    const bom = JSON.parse(renderSbom(subject, [ipxe, curl]));
    expect(bom.components.map((one: { name: string }) => one.name)).toEqual(['curl', 'ipxe']);
    expect(bom.components[0]).toMatchObject({
      version: '8.14.1-2+deb13u1',
      purl: 'pkg:deb/debian/curl@8.14.1-2%2Bdeb13u1?arch=amd64&distro=trixie',
      hashes: [{ alg: 'SHA-256', content: digestOf('curl.deb') }],
      licenses: [{ license: { name: 'ISC' } }, { license: { name: 'curl' } }],
    });
    expect(bom.components[1].hashes).toBeUndefined();
    expect(bom.dependencies[0].dependsOn).toHaveLength(2);
  });

  it('has the same bytes for the same packages in any order, and other ones for others', () => {
    const text = renderSbom(subject, [curl, ipxe]);
    expect(renderSbom(subject, [ipxe, curl])).toBe(text);
    expect(text).not.toMatch(/timestamp|20\d\d-\d\d-\d\dT/);
    const other = renderSbom(subject, [curl, { ...ipxe, version: '2' }]);
    expect(JSON.parse(other).serialNumber).not.toBe(JSON.parse(text).serialNumber);
  });

  it('has package URLs with an epoch as the specification shows it', () => {
    const version = '1:2.41.5-0+deb13u1~x';
    expect(packageUrl({ name: 'bsdutils', version, architecture: 'amd64' }, 'trixie')).toBe(
      'pkg:deb/debian/bsdutils@1:2.41.5-0%2Bdeb13u1~x?arch=amd64&distro=trixie',
    );
  });
});

it('what the lock holds lends its hashes, and loaders stand beside what is installed', () => {
  const group = (name: string, version: string) => ({
    asked: [name],
    packages: [{ name, version, architecture: 'all', size: 1, digest: digestOf(name), path: '' }],
  });
  const lock: PackageLock = {
    ...{ suite: 'trixie', architecture: 'amd64', variant: 'minbase' },
    groups: [group('curl', curl.version)],
    loaders: group('ipxe', '1'),
  };
  const { digest: _known, installed: _there, ...installed } = curl;
  const other = { ...installed, name: 'libcurl4t64' };
  expect(packagesOf([installed, other], lock).map((p) => [p.name, p.digest, p.installed])).toEqual([
    ['curl', digestOf('curl'), true],
    ['libcurl4t64', undefined, true],
    ['ipxe', digestOf('ipxe'), false],
  ]);
  // What is unpacked and not installed is in the root all the same.
  expect(packagesOf([], lock).map((p) => [p.name, p.installed])).toEqual([
    ['curl', true],
    ['ipxe', false],
  ]);
});

it('the software of a root is what dpkg has installed, with the source where that is another', () => {
  const status = [
    'Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc\nVersion: 2.41-12',
    'Package: bash\nStatus: install ok installed\nArchitecture: amd64\nSource: bash (5.2.37-2)\nVersion: 5.2.37-2+b5',
    'Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1',
  ].join('\n\n');
  expect(parseSoftware(status)).toEqual([
    {
      ...{ name: 'bash', version: '5.2.37-2+b5', architecture: 'amd64' },
      ...{ source: 'bash', sourceVersion: '5.2.37-2' },
    },
    {
      ...{ name: 'libc6', version: '2.41-12', architecture: 'amd64' },
      ...{ source: 'glibc', sourceVersion: '2.41-12' },
    },
  ]);
});

it('licences are the short names of a copyright file that a machine can read', () => {
  const file = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: GPL-2+  or Artistic
 text

Files: debian/*
License: Expat

License: Expat
 Permission is hereby granted
`;
  expect(parseLicenses(file)).toEqual(['Expat', 'GPL-2+ or Artistic']);
  expect(parseLicenses('This is free software.\nLicense: see below\n')).toEqual([]);
});
