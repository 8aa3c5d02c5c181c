import { expect, it } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import type { LockedPackage, PackageLock } from '../../../src/images/package-lock.ts';
import { findUpdates, parseAvailable } from '../../../src/images/security-updates.ts';

function locked(name: string, version: string, architecture = 'amd64'): LockedPackage {
  return { name, version, architecture, size: 1, digest: digestOf(name), path: `pool/${name}.deb` };
}

const lock: PackageLock = {
  ...{ suite: 'trixie', architecture: 'amd64', variant: 'minbase' },
  groups: [
    {
      asked: ['curl', 'tzdata'],
      packages: [locked('curl', '8.14.1-2'), locked('tzdata', '2025b-4', 'all')],
    },
    { asked: ['nginx'], packages: [locked('nginx', '1.26.3-3+deb13u1')] },
  ],
  loaders: { asked: ['shim-signed:arm64'], packages: [locked('shim-signed', '1.44', 'arm64')] },
};

it('names what is newer, and nothing else', () => {
  const available = [
    { name: 'curl', version: '8.14.1-2+deb13u2', architecture: 'amd64' },
    { name: 'curl', version: '8.14.1-2+deb13u1', architecture: 'amd64' },
    { name: 'tzdata', version: '2025b-4+deb13u1', architecture: 'all' },
    // Held already, and older than what is held: a point release has overtaken it.
    { name: 'nginx', version: '1.26.3-3+deb13u1', architecture: 'amd64' },
    { name: 'shim-signed', version: '1.45', architecture: 'amd64' },
    { name: 'not-in-the-lock', version: '9', architecture: 'amd64' },
  ];
  expect(findUpdates(lock, available)).toEqual([
    { package: 'curl', from: '8.14.1-2', to: '8.14.1-2+deb13u2' },
    { package: 'tzdata', from: '2025b-4', to: '2025b-4+deb13u1' },
  ]);
  const older = [{ name: 'curl', version: '8.14.1-1+deb13u9', architecture: 'amd64' }];
  expect(findUpdates(lock, older)).toEqual([]);
});

it('names the architecture of a loader of another one', () => {
  const available = [{ name: 'shim-signed', version: '1.45', architecture: 'arm64' }];
  expect(findUpdates(lock, available)).toEqual([
    { package: 'shim-signed:arm64', from: '1.44', to: '1.45' },
  ]);
});

it("reads apt's own list", () => {
  const text = [
    'Package: libssl3t64',
    'Source: openssl',
    'Version: 3.5.1-1+deb13u1',
    'Architecture: amd64',
    'Depends: libc6 (>= 2.38)',
    'Description: Secure Sockets Layer toolkit',
    ' Version: is no field here',
    '',
    'Package: half-a-stanza',
    '',
    '',
  ].join('\n');
  expect(parseAvailable(text)).toEqual([
    { name: 'libssl3t64', version: '3.5.1-1+deb13u1', architecture: 'amd64' },
  ]);
});
