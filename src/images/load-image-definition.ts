import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from '../errors.ts';
import { type ImageDefinition, parseImageDefinition } from './image-definition.ts';

/** Where the image definitions are that come with the program. */
const shippedImagesDir = join(import.meta.dirname, '../../images');

/** The definition of an image: the site's own `images/<name>.yaml`, or else the shipped one. */
export async function loadImageDefinition(
  siteDir: string,
  name: string,
): Promise<Result<ImageDefinition>> {
  const own = join(siteDir, 'images', `${name}.yaml`);
  for (const file of [own, join(shippedImagesDir, `${name}.yaml`)]) {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (text === undefined) continue;
    const result = parseImageDefinition(text, file);
    if (!result.ok || result.value.name === name) return result;
    return wrong(file, 1, 'name', `the image is named ${result.value.name}`, `name: ${name}`);
  }
  return wrong(own, 0, '', `there is no image ${name}`, 'the shipped one is universal');
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
