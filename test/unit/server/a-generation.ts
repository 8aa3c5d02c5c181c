import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ImageManifest } from '../../../src/boot/image-manifest.ts';
import { digestOf, digestOfValue } from '../../../src/digest.ts';
import { openImageStore } from '../../../src/images/image-store.ts';
import type { Fleet } from '../../../src/roles/fleet.ts';
import type { ImageFacts } from '../../../src/roles/image-facts.ts';
import { loadFleet } from '../../../src/roles/load-fleet.ts';
import { type Generation, prepareGeneration } from '../../../src/server/generation.ts';
import type { OverlayStore } from '../../../src/state/overlays.ts';
import { temporaryFolder } from '../state/temporary-folder.ts';

const cases = join(import.meta.dirname, '../../golden/overlay');

/** The site of the lab: web1, web2, and spares. */
export async function labFleet(): Promise<Fleet> {
  const fleet = await loadFleet(join(cases, 'lab-swap/site'));
  if (!fleet.ok) throw new Error(JSON.stringify(fleet.problems, null, 2));
  return fleet.value;
}

/** What a fleet boots from an image that lies in no store: only its manifest is looked at. */
export function generationOf(
  fleet: Fleet,
  overlays: OverlayStore,
  number = 1,
): Promise<Generation> {
  const images = openImageStore(temporaryFolder());
  const manifest = imageManifest();
  const image = { digest: digestOfValue(manifest), manifest };
  return prepareGeneration({
    ...{ number, fleet, overlays },
    images: { ...images, resolve: async () => image },
  });
}

function imageManifest(): ImageManifest {
  const facts = JSON.parse(readFileSync(join(cases, 'facts.json'), 'utf8')) as ImageFacts;
  const blob = (what: string) => ({ digest: digestOf(what), size: 10 });
  return {
    ...facts,
    ...{ format: 2, name: 'universal', architecture: 'amd64', suite: 'trixie' },
    ...{ kernelVersion: '6.12.0', loaders: {} },
    ...{ kernel: blob('kernel'), initramfs: blob('initramfs'), root: [blob('root')] },
  };
}
