import type { Fleet } from '../roles/fleet.ts';
import { digestOfRole, usedRoles } from '../roles/used-roles.ts';
import type { ImageStore, StoredImage } from './image-store.ts';
import { judgeTests, parseImageTests, type TestJudgement, type WantedRole } from './image-tests.ts';

/** What the site asks of an image: each role that its machines have with it, as the role is now. */
export function wantedRoles(fleet: Fleet, image: string): readonly WantedRole[] {
  return usedRoles(fleet, image).flatMap((name) => {
    const role = fleet.roles.get(name);
    return role ? [{ name, digest: digestOfRole(role, fleet.sources) }] : [];
  });
}

/** Whether the image passed `image test` in every role that the site has now. */
export async function judgeImage(
  store: Pick<ImageStore, 'note'>,
  { digest, manifest }: StoredImage,
  fleet: Fleet,
): Promise<TestJudgement> {
  const tests = parseImageTests(await store.note(digest, 'tests'));
  return judgeTests(tests, wantedRoles(fleet, manifest.name));
}

/** Why an image counts as untested, in words; empty where it does not. */
export function describeUntested({ tested, faults, missing }: TestJudgement): string {
  if (tested) return '';
  const never = missing.length > 0 ? [`never tested as ${missing.join(', ')}`] : [];
  return [...faults, ...never].join('; ');
}

/** What to say of a published image that the site wants tested, and that is not; empty where nothing. */
export async function publishedUntested(
  fleet: Fleet,
  store: Pick<ImageStore, 'note'>,
  image: StoredImage,
): Promise<string> {
  if (fleet.site.images.publish === 'any') return '';
  const why = describeUntested(await judgeImage(store, image, fleet));
  const { name } = image.manifest;
  return why === ''
    ? ''
    : `the published image ${name} ${image.digest.slice(0, 12)} is untested: ${why}`;
}
