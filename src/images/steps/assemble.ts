import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Blob, ImageManifest } from '../../boot/image-manifest.ts';
import type { ImageFacts } from '../../roles/image-facts.ts';
import { packedLayer, packedRoot } from '../root-trees.ts';
import type { Executor } from './executor.ts';

/** Takes the parts into the image store and leaves the manifest's digest, as `image`. */
export const assemble: Executor<'assemble'> = async (step, context) => {
  const { store } = context;
  const found = JSON.parse(
    await readFile(join(context.input('facts'), 'facts.json'), 'utf8'),
  ) as ImageFacts & { kernelVersion: string };
  const loaders: Record<string, Blob> = {};
  for (const name of step.loaders) {
    loaders[name] = await store.addBlob(join(context.input('loaders'), name));
  }
  const manifest: ImageManifest = {
    format: 2,
    name: step.name,
    architecture: step.architecture,
    suite: step.suite,
    ...found,
    kernel: await store.addBlob(join(context.input('kernel'), 'kernel')),
    initramfs: await store.addBlob(join(context.input('initramfs'), 'initramfs')),
    root: await Promise.all(
      step.layers.map((id) =>
        store.addBlob(join(context.input(id), id === 'squash' ? packedRoot : packedLayer)),
      ),
    ),
    loaders,
  };
  const { digest } = await store.addImage(manifest);
  await writeFile(join(context.output, 'image'), digest);
};
