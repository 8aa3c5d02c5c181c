import { gatherFacts } from './build-facts.ts';
import { type BuildPlace, placesOf } from './build-places.ts';
import type { PlannedStep } from './build-step.ts';
import { openImageStore } from './image-store.ts';
import { judgePassing } from './passing-steps.ts';
import { planBuild } from './plan-build.ts';
import { lackInStore } from './present-image.ts';
import { previewLocks } from './resolve-locks.ts';
import { changedInputs, findDamage, newestInputs } from './step-output.ts';

/** The image, and what decides its packages. */
interface PreviewRequest extends BuildPlace {
  /** Packages that the roles ask for. */
  readonly rolePackages: readonly string[];
}

/** What a build would do, what it would not do again, and why. Changes nothing and asks no network. */
export async function previewBuild(request: PreviewRequest): Promise<PlannedStep[]> {
  const { cache, lockFile } = placesOf(request);
  const store = openImageStore(request.state);
  const locks = await previewLocks({ ...request, lockFile });
  const steps = planBuild(request.definition, await gatherFacts(request.definition, locks));
  const planned = await Promise.all(
    steps.map(async (step) => {
      const damage =
        (await findDamage(cache, step, 'sizes')) ??
        // Its output is the image's digest; the image is in the store.
        (step.kind === 'assemble' ? await lackInStore(store, cache, step) : undefined);
      if (damage === undefined) return { step, kept: true, why: '' };
      const before = damage === 'is not there' ? await newestInputs(cache, step) : undefined;
      const why = damage === 'is not there' ? changedInputs(before, step.inputs) : damage;
      return { step, kept: false, why };
    }),
  );
  return judgePassing(planned);
}
