import { nodeArchitecture } from '../boot/node-architecture.ts';
import { AppError, type Problem } from '../errors.ts';
import { type ImageStore, openImageStore, type StoredImage } from '../images/image-store.ts';
import { publishedUntested } from '../images/judge-image.ts';
import { checkAgainstImage } from '../roles/check-fleet.ts';
import type { Fleet } from '../roles/fleet.ts';
import type { SiteNode } from '../site/site.ts';
import { systemFailure } from './system-failure.ts';

/**
 * What keeps nodes from a boot set of their published image, such as a package that it lacks. A warning,
 * as the site itself is right; silent where this machine holds no image. Looks at all nodes, or at some.
 */
export async function imageWarnings(
  fleet: Fleet,
  state: string,
  nodes: readonly SiteNode[] = [...fleet.site.nodes.values()],
): Promise<readonly Problem[]> {
  const store = openImageStore(state);
  const found: Problem[] = [];
  for (const name of new Set(nodes.map((node) => node.image))) {
    const image = await store.resolve(name, nodeArchitecture).catch((error) => notCompared(error));
    if (!image) continue;
    if (image instanceof AppError) {
      found.push({ file: '', line: 0, path: '', message: image.message, hint: image.hint });
      continue;
    }
    const booting = nodes.filter((node) => node.image === name);
    found.push(...(await testWarnings(fleet, store, image)));
    found.push(...checkAgainstImage(fleet, image.manifest, booting));
  }
  return found;
}

/** That the published image is not tested, where the site wants it to be. */
async function testWarnings(
  fleet: Fleet,
  store: ImageStore,
  image: StoredImage,
): Promise<readonly Problem[]> {
  const warning = await publishedUntested(fleet, store, image);
  if (warning === '') return [];
  const hint = `rolecall image test ${image.digest.slice(0, 12)}, or rolecall image rollback`;
  return [{ file: 'site.yaml', line: 0, path: 'images.publish', message: warning, hint }];
}

function notCompared(error: unknown): AppError {
  const failure = error instanceof AppError ? error : systemFailure(error);
  if (!failure) throw error;
  const message = `not compared with the image: ${failure.message}`;
  return new AppError(failure.code, message, failure.hint);
}
