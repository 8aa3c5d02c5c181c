import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import { gatherFacts } from '../../../src/images/build-facts.ts';
import { type BuildRequest, buildImage } from '../../../src/images/build-image.ts';
import { placesOf } from '../../../src/images/build-places.ts';
import type { StepKind } from '../../../src/images/build-step.ts';
import { forgetUnused } from '../../../src/images/cache-limit.ts';
import { openImageStore } from '../../../src/images/image-store.ts';
import { loadImageDefinition } from '../../../src/images/load-image-definition.ts';
import { siteLockFile } from '../../../src/images/lock-file.ts';
import { openPackageCache } from '../../../src/images/package-cache.ts';
import {
  type LockedPackage,
  type PackageLock,
  renderLock,
} from '../../../src/images/package-lock.ts';
import { planBuild } from '../../../src/images/plan-build.ts';
import { plannedOutputs } from '../../../src/images/planned-outputs.ts';
import { previewBuild } from '../../../src/images/preview-build.ts';
import { softwareFile } from '../../../src/images/software-of-root.ts';
import { outputOf, recordOutput } from '../../../src/images/step-output.ts';

const definition = `
name: tiny
suite: trixie
variant: extract
kernel: {amd64: linux-image-cloud-amd64}
packages: [kmod]
rolePackages: false
date: 2025-08-09T00:00:00Z
loaders:
  undionly.kpxe: {package: ipxe, path: usr/lib/ipxe/undionly.kpxe}
`;

function locked(name: string): LockedPackage {
  const path = `pool/main/${name}.deb`;
  return { name, version: '1', architecture: 'amd64', size: 9, digest: digestOf(name), path };
}

const lock: PackageLock = {
  ...{ suite: 'trixie', architecture: 'amd64', variant: 'extract' },
  groups: [
    {
      asked: ['kmod', 'linux-image-cloud-amd64'],
      packages: [locked('kmod'), locked('linux-image-cloud-amd64')],
    },
  ],
  loaders: { asked: ['ipxe:amd64'], packages: [locked('ipxe')] },
};

const facts = { packages: {}, units: {}, users: {}, groups: {}, kernelVersion: '6.12' };
/** What the steps before the last one have left. */
const kept: Partial<Record<StepKind, Record<string, string>>> = {
  squash: { 'root.squashfs': 'a root' },
  kernel: { kernel: 'a kernel' },
  initramfs: { initramfs: 'an initramfs' },
  loaders: { 'undionly.kpxe': 'a loader' },
  facts: { 'facts.json': JSON.stringify(facts), [softwareFile]: '[]' },
};

let folder = '';
let lockFile = '';
let request: BuildRequest;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'build-'));
  const site = join(folder, 'site');
  lockFile = siteLockFile(site, 'tiny', 'amd64');
  await mkdir(join(site, 'images'), { recursive: true });
  await writeFile(join(site, 'images/tiny.yaml'), definition);
  await writeFile(lockFile, renderLock(lock));
  const loaded = await loadImageDefinition(site, 'tiny');
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  request = {
    ...{ definition: loaded.value, architecture: 'amd64', state: join(folder, 'state') },
    ...{ rolePackages: [], lockFile: (name) => siteLockFile(site, name, 'amd64') },
    // Nobody answers there.
    ...{ versions: 'extend', publish: false, mirror: 'http://127.0.0.1:9' },
    mayPublish: () => Promise.resolve(true),
    now: Date.now,
    onEvent: () => undefined,
  };
  const { cache } = placesOf(request);
  const steps = planBuild(
    loaded.value,
    await gatherFacts(loaded.value, [{ file: lockFile, held: lock, lock }]),
  );
  for (const step of steps) {
    const files = Object.entries(kept[step.kind] ?? {});
    if (files.length === 0) continue;
    const output = outputOf(cache, step);
    await mkdir(output, { recursive: true });
    for (const [name, text] of files) await writeFile(join(output, name), text);
    await recordOutput(output, step.inputs);
  }
});
afterEach(() => rm(folder, { recursive: true }));

it('a build that was killed before it wrote its notes is made up for by the next one', async () => {
  const { image } = await buildImage(request);
  const store = openImageStore(request.state);
  const notes = join(request.state, 'images/notes');
  expect(await readdir(notes)).toHaveLength(2);
  await rm(notes, { recursive: true });
  expect((await buildImage(request)).image.digest).toBe(image.digest);
  expect(await store.note(image.digest, 'sbom')).toMatchObject({ bomFormat: 'CycloneDX' });
  expect(await store.note(image.digest, 'provenance')).toMatchObject({ packages: 3 });
  expect((await buildImage(request)).built).toBe(false);
});

it.each(['extend', 'locked'] as const)('a lock that fits stays as it is: %s', async (versions) => {
  const text = `# Asked for by ops.\r\n${renderLock(lock).replaceAll('\n', '\r\n')}`;
  await writeFile(lockFile, text);
  await buildImage({ ...request, versions });
  expect(await readFile(lockFile, 'utf8')).toBe(text);
});

it('a plan says what the store has lost, as the build then finds', async () => {
  const last = async () => {
    const { kept: isKept, why } = (await previewBuild(request)).at(-1) ?? {};
    return isKept === true ? 'kept' : why;
  };
  expect(await last()).toBe('never made, or not kept');
  const { image } = await buildImage(request);
  const store = openImageStore(request.state);
  expect(await last()).toBe('kept');
  await truncate(store.blobPath(image.manifest.kernel.digest), 3);
  expect(await last()).toBe('the store has lost the kernel');
  await rm(join(request.state, 'images/manifests'), { recursive: true });
  expect(await last()).toBe('the store has no such image');
  expect((await buildImage(request)).built).toBe(true);
  expect(await last()).toBe('kept');
  await rm(join(request.state, 'images/notes'), { recursive: true });
  expect(await last()).toBe('the store has no bill of materials of it');
  expect((await buildImage(request)).built).toBe(true);
});

it('packages of a build that finds nothing to do stay for another month', async () => {
  await buildImage(request);
  const { packages } = placesOf(request);
  const files = lock.groups.flatMap((group) =>
    group.packages.flatMap(openPackageCache(packages).files),
  );
  await mkdir(packages, { recursive: true });
  for (const file of files) {
    await writeFile(file, '');
    await utimes(file, 1, 1);
  }
  expect((await buildImage(request)).built).toBe(false);
  // As a build of another image does.
  await forgetUnused(packages, new Set(), Date.now() - 31 * 86_400_000);
  expect(await readdir(packages)).toHaveLength(files.length);
});

it('a plan of another image that cannot be read costs nothing but time', async () => {
  const { image } = await buildImage(request);
  const store = openImageStore(request.state);
  await store.addImage({ ...image.manifest, name: 'other' });
  const { planFile } = placesOf(request);
  const other = join(dirname(planFile), 'other.json');
  for (const text of ['["squash-', 'null', '[7]']) {
    await writeFile(other, text);
    expect(await plannedOutputs(planFile, [], store), text).toEqual(new Set());
  }
  await writeFile(other, '["squash-1"]');
  expect(await plannedOutputs(planFile, [], store)).toEqual(new Set(['squash-1']));
});
