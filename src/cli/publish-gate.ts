import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import type { ImageStore, StoredImage } from '../images/image-store.ts';
import { describeUntested, judgeImage } from '../images/judge-image.ts';
import { renderProblems } from '../render-problems.ts';
import { loadFleet } from '../roles/load-fleet.ts';
import { openLastGoodSite } from '../server/last-good-site.ts';
import type { GlobalOptions } from './command.ts';
import { shortDigest } from './find-image.ts';

/** What the site says of an image that is to be published. */
export interface PublishGate {
  /** Why it may not be published; undefined where it may. */
  readonly refusal?: AppError;
  /** What to mind where it may. */
  readonly notes: readonly string[];
}

/**
 * Asks `images: {publish: tested}` of the site; where there is no site in the folder, or a broken one, of the
 * site that the boot server of this state folder served last.
 */
export async function askPublishGate(
  { site: dir, state }: Pick<GlobalOptions, 'site' | 'state'>,
  store: ImageStore,
  image: StoredImage,
): Promise<PublishGate> {
  const here = existsSync(join(dir, 'site.yaml')) ? await loadFleet(dir) : undefined;
  const fleet = here?.ok ? here.value : await openLastGoodSite(state).load();
  if (!fleet) {
    if (!here || here.ok) return { notes: [] };
    const message = `whether it must be tested cannot be read:\n${renderProblems(here.problems)}`;
    return { refusal: new AppError('invalid-site', message, 'rolecall check'), notes: [] };
  }
  if (fleet.site.images.publish === 'any') return { notes: [] };
  const judgement = await judgeImage(store, image, fleet);
  const why = describeUntested(judgement);
  if (why === '') {
    return {
      notes: judgement.changed.map((role) => `the role ${role} was edited since it was tested`),
    };
  }
  const short = shortDigest(image);
  return {
    notes: [],
    refusal: new AppError(
      'image-untested',
      `${image.manifest.name} ${short} is not tested, and site.yaml says images: {publish: tested}: ${why}`,
      `rolecall image test ${short}, then rolecall image publish ${short}\n(image publish --untested does it all the same; nodes and check then say so)`,
    ),
  };
}
