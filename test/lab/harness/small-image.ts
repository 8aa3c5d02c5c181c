import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openImageStore } from '../../../src/images/image-store.ts';

/**
 * Publishes in `state` an image as the one published in `builds`, with its loaders and facts, whose kernel,
 * initramfs and root are a few bytes: enough for a boot server whose machines end at the boot script.
 */
export async function publishSmallImage(builds: string, state: string): Promise<void> {
  const [from, to] = [openImageStore(builds), openImageStore(state)];
  const whole = await from.resolve('universal', 'amd64');
  if (!whole) throw new Error(`no image universal is published in ${builds}`);
  for (const loader of Object.values(whole.manifest.loaders)) {
    await to.addBlob(from.blobPath(loader.digest));
  }
  const folder = mkdtempSync(join(tmpdir(), 'rc-blob-'));
  const small = async (word: string) => {
    writeFileSync(join(folder, word), word);
    return to.addBlob(join(folder, word));
  };
  const image = await to.addImage({
    ...whole.manifest,
    kernel: await small('kernel'),
    initramfs: await small('initramfs'),
    root: await small('root'),
  });
  rmSync(folder, { recursive: true });
  await to.tag(image.digest, 'published');
}
