import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { digestOf } from '../digest.ts';
import type { Step } from './build-step.ts';
import type { ImageStore, StoredImage } from './image-store.ts';
import { allPackages, type LockedPackage, type PackageLock, renderLock } from './package-lock.ts';
import { renderSbom, type SbomPackage } from './sbom.ts';
import { type Software, softwareFile } from './software-of-root.ts';

const provenanceShape = z.object({
  format: z.literal(1),
  tools: z.record(z.string(), z.string()),
  steps: z.array(z.object({ id: z.string(), key: z.string() })),
  packages: z.number(),
  lock: z.string(),
});

/**
 * What decided the bytes of an image, and would give the same bytes again: first line of `--version` by program,
 * each step with its key (a digest of all its inputs), how many packages the lock held, and a digest of it.
 */
export type Provenance = z.infer<typeof provenanceShape>;

/** The provenance in a note; undefined where it is none. */
export function parseProvenance(note: unknown): Provenance | undefined {
  const parsed = provenanceShape.safeParse(note);
  return parsed.success ? parsed.data : undefined;
}

/** Whether all that {@link noteBuild} writes is there. */
export async function isNoted(store: ImageStore, { digest }: StoredImage): Promise<boolean> {
  const sbom = await store.note(digest, 'sbom');
  return (
    sbom !== undefined && parseProvenance(await store.note(digest, 'provenance')) !== undefined
  );
}

/**
 * Writes down beside the image what is in it (a bill of materials) and what decided its bytes. `factsOutput` is
 * the folder of the step that read the root.
 */
export async function noteBuild(
  store: ImageStore,
  image: StoredImage,
  {
    steps,
    lock,
    tools,
    factsOutput,
  }: {
    readonly steps: readonly Step[];
    readonly lock: PackageLock;
    readonly tools: Provenance['tools'];
    readonly factsOutput: string;
  },
): Promise<void> {
  const text = await readFile(join(factsOutput, softwareFile), 'utf8').catch(() => undefined);
  if (text === undefined) return;
  const sbom = renderSbom(image.manifest, packagesOf(JSON.parse(text) as Software[], lock));
  await store.writeNote(image.digest, 'sbom', JSON.parse(sbom));
  const provenance: Provenance = {
    ...{ format: 1, tools, packages: allPackages(lock).length, lock: digestOf(renderLock(lock)) },
    steps: steps.map(({ id, key }) => ({ id, key })),
  };
  await store.writeNote(image.digest, 'provenance', provenance);
}

/** What is installed, with the hash of the file it came from; and what only loaders are taken from. */
export function packagesOf(software: readonly Software[], lock: PackageLock): SbomPackage[] {
  const locked = new Map(
    lock.groups.flatMap((group) =>
      group.packages.map((one) => [`${one.name} ${one.version}`, one]),
    ),
  );
  const installed = software.map((one) => {
    const digest = locked.get(`${one.name} ${one.version}`)?.digest;
    return { ...one, installed: true, ...(digest === undefined ? {} : { digest }) };
  });
  const bare = ({ name, version, architecture, digest }: LockedPackage, there: boolean) => ({
    ...{ name, version, architecture, digest, installed: there },
    ...{ source: name, sourceVersion: version, licenses: [] },
  });
  // Packages that are only unpacked (variant: extract) are in no list of dpkg.
  const listed = new Set(software.map((one) => `${one.name} ${one.version}`));
  const unpacked = [...locked]
    .filter(([key]) => !listed.has(key))
    .map(([, one]) => bare(one, true));
  return [...installed, ...unpacked, ...lock.loaders.packages.map((one) => bare(one, false))];
}
