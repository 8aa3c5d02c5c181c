import { join } from 'node:path';
import type { Architecture } from './distributions/distribution.ts';
import { chainOf, type ImageDefinition } from './image-definition.ts';
import { packagesFolder } from './package-supply.ts';

/** What decides where a build finds and leaves its files. */
export interface BuildPlace {
  readonly definition: ImageDefinition;
  readonly architecture: Architecture;
  readonly state: string;
  /**
   * File of the lock of an image, by its name; it is written where it does not hold what is wanted. The state
   * folder's own where absent.
   */
  readonly lockFile?: (image: string) => string;
  /** Folder for packages and outputs of steps, such as a CI keeps; the state folder where absent. */
  readonly cache?: string;
}

/** Every file and folder of a build. */
export function placesOf({ definition, architecture, state, lockFile, cache = state }: BuildPlace) {
  const aptCache = join(cache, 'apt-cache');
  // An image and those that extend it have most steps in common.
  const [{ name: lowest } = definition] = chainOf(definition);
  const shared = `${lowest}-${architecture}`;
  return {
    cache: join(cache, 'build-cache', shared),
    /** Of all images. */
    outputs: join(cache, 'build-cache'),
    planFile: join(cache, 'build-plans', shared, `${definition.name}.json`),
    lockFile:
      lockFile ?? ((image: string) => join(state, 'build-cache', `${image}-${architecture}.lock`)),
    // A step's output is renamed into the cache: one file system holds both.
    work: join(cache, 'build-work'),
    packages: packagesFolder(aptCache),
    answerFile: join(aptCache, 'security', `${definition.name}-${architecture}.json`),
    aptCache,
    // Beside the outputs: what limits the one limits the other.
    modules: join(cache, 'build-cache', 'modules'),
  };
}
