import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Problem, Result } from '../errors.ts';
import type { ImageDefinition } from './image-definition.ts';
import { parseImageDefinition } from './parse-image-definition.ts';

/** Where the image definitions are that come with the program. */
const shippedImagesDir = join(import.meta.dirname, '../../images');

/** Each layer is a kernel argument of its own, and a kernel line is 2048 bytes long at most. */
const mostLayers = 4;

/**
 * The definition of an image: the site's own `images/<name>.yaml`, or else the shipped one, with those that it
 * extends.
 */
export async function loadImageDefinition(
  siteDir: string,
  name: string,
  extending: readonly string[] = [],
): Promise<Result<ImageDefinition>> {
  const own = join(siteDir, 'images', `${name}.yaml`);
  const chain = [name, ...extending];
  if (extending.includes(name)) {
    const shown = chain.toReversed().join(' extends ');
    return wrong(own, 1, 'extends', `${shown}: that has no end`, 'take one extends out');
  }
  if (chain.length > mostLayers) {
    const shown = chain.toReversed().join(' extends ');
    return wrong(own, 1, 'extends', `${shown}: more than ${mostLayers} layers`, 'join two of them');
  }
  for (const file of [own, join(shippedImagesDir, `${name}.yaml`)]) {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (text === undefined) continue;
    const result = await parseImageDefinition(text, file, {
      findParent: (parent) => loadImageDefinition(siteDir, parent, chain),
      exists: existsSync,
    });
    if (!result.ok || result.value.name === name) return result;
    return wrong(file, 1, 'name', `the image is named ${result.value.name}`, `name: ${name}`);
  }
  return wrong(own, 0, '', `there is no image ${name}`, 'the shipped one is universal');
}

/** Every problem of the definitions that the site has of its own, each once. */
export async function checkImageDefinitions(siteDir: string): Promise<readonly Problem[]> {
  const files = await readdir(join(siteDir, 'images')).catch(() => []);
  const names = files.flatMap((file) => /^(.+)\.yaml$/.exec(file)?.[1] ?? []);
  const results = await Promise.all(names.sort().map((name) => loadImageDefinition(siteDir, name)));
  const problems = results.flatMap((result) => (result.ok ? [] : result.problems));
  return [...new Map(problems.map((one) => [JSON.stringify(one), one])).values()];
}

function wrong(
  file: string,
  line: number,
  path: string,
  message: string,
  hint: string,
): Result<ImageDefinition> {
  return { ok: false, problems: [{ file, line, path, message, hint }] };
}
