import { appendFile, mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ImageManifest } from '../../../src/boot/image-manifest.ts';
import { digestOf } from '../../../src/digest.ts';
import { type ImageStore, openImageStore } from '../../../src/images/image-store.ts';

let state = '';
let store: ImageStore;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'store-'));
  store = openImageStore(state);
});
afterEach(() => rm(state, { recursive: true, force: true }));

async function blob(text: string) {
  const file = join(state, 'source');
  await writeFile(file, text);
  return store.addBlob(file);
}

async function manifest(text: string): Promise<ImageManifest> {
  return {
    format: 1,
    name: 'universal',
    architecture: 'amd64',
    suite: 'trixie',
    kernelVersion: '6.12',
    packages: {},
    units: {},
    users: {},
    groups: {},
    kernel: await blob(`kernel ${text}`),
    initramfs: await blob(`initramfs ${text}`),
    root: await blob(`root ${text}`),
    loaders: { 'lab/a.rom': await blob('rom') },
  };
}

describe('blobs', () => {
  it('are named by their digest and know their size', async () => {
    const { digest, size } = await blob('some bytes');
    expect({ digest, size }).toEqual({ digest: digestOf('some bytes'), size: 10 });
    expect(await store.hasBlob({ digest, size })).toBe(true);
    expect(await store.hasBlob({ digest, size: 11 })).toBe(false);
    expect(await readdir(join(state, 'images/incoming'))).toEqual([]);
  });

  it('are not there before they are', async () => {
    expect(await store.hasBlob({ digest: digestOf('absent'), size: 6 })).toBe(false);
  });
});

describe('images', () => {
  it('are none in an empty store', async () => {
    expect(await store.list()).toEqual([]);
    expect(await store.resolve('universal', 'amd64')).toBeUndefined();
    expect(await store.read(digestOf('x'))).toBeUndefined();
  });

  it('are refused while a part of them is missing', async () => {
    const whole = await manifest('1');
    await rm(store.blobPath(whole.root.digest));
    await expect(store.addImage(whole)).rejects.toMatchObject({ code: 'blob-missing' });
    expect(await store.list()).toEqual([]);
  });

  it('are found by their tag, by name and architecture', async () => {
    const first = await store.addImage(await manifest('1'));
    const second = await store.addImage(await manifest('2'));
    await store.tag(first.digest, 'published');
    await store.tag(second.digest, 'built');
    expect((await store.resolve('universal', 'amd64'))?.digest).toBe(first.digest);
    expect((await store.resolve('universal', 'amd64', 'built'))?.digest).toBe(second.digest);
    expect(await store.resolve('universal', 'arm64')).toBeUndefined();
    await store.tag(second.digest, 'published');
    expect((await store.resolve('universal', 'amd64'))?.manifest).toEqual(second.manifest);
    const tagsOf = new Map((await store.list()).map((image) => [image.digest, image.tags]));
    expect(tagsOf.get(first.digest)).toEqual([]);
    expect(tagsOf.get(second.digest)).toEqual(['built', 'published']);
  });

  it('have one digest for one content', async () => {
    const once = await store.addImage(await manifest('1'));
    const again = await store.addImage(
      Object.fromEntries(Object.entries(await manifest('1')).reverse()) as unknown as ImageManifest,
    );
    expect(again.digest).toBe(once.digest);
  });

  it('are not tagged before they are in the store', async () => {
    await expect(store.tag(digestOf('x'), 'published')).rejects.toMatchObject({
      code: 'no-such-image',
    });
    expect(await store.resolve('universal', 'amd64')).toBeUndefined();
  });
});

describe('verify', () => {
  it('finds every kind of damage and names the part', async () => {
    const image = await store.addImage(await manifest('1'));
    expect(await store.verify(image.digest)).toEqual([]);
    const { kernel, initramfs, root } = image.manifest;
    await rm(store.blobPath(kernel.digest));
    await truncate(store.blobPath(initramfs.digest), 3);
    await writeFile(store.blobPath(root.digest), 'ROOT 1');
    const damage = await store.verify(image.digest);
    expect(
      damage.map(({ part, message }) => `${part} ${message.replace(/[0-9a-f]{64}/, '…')}`),
    ).toEqual([
      'kernel is missing',
      'initramfs has 3 bytes instead of 11',
      'root holds other bytes: their digest is …',
    ]);
  });

  it('finds a damaged manifest, which is never handed out', async () => {
    const image = await store.addImage(await manifest('1'));
    await store.tag(image.digest, 'published');
    await appendFile(join(state, `images/manifests/${image.digest}.json`), ' ');
    expect(await store.verify(image.digest)).toMatchObject([{ part: 'manifest' }]);
    await expect(store.resolve('universal', 'amd64')).rejects.toMatchObject({
      code: 'damaged-manifest',
    });
    expect(await store.list()).toEqual([]);
    expect(await store.digests()).toEqual([image.digest]);
  });
});

describe('sweep', () => {
  it('deletes what killed builds left and nothing else', async () => {
    const image = await store.addImage(await manifest('1'));
    await store.tag(image.digest, 'published');
    const orphan = await blob('of no image');
    await mkdir(join(state, 'images/incoming'), { recursive: true });
    await writeFile(join(state, 'images/incoming/half'), 'ha');
    await writeFile(join(state, `images/manifests/${image.digest}.json.0a.tmp`), '{');
    await writeFile(join(state, 'images/tags/universal/amd64/published.0a.tmp'), '');
    await store.sweep();
    expect(await store.hasBlob(orphan)).toBe(false);
    expect(await store.verify(image.digest)).toEqual([]);
    expect((await store.resolve('universal', 'amd64'))?.digest).toBe(image.digest);
    const left = await readdir(join(state, 'images'), { recursive: true });
    expect(left.filter((name) => /tmp$|half/.test(name))).toEqual([]);
  });

  it('is content with an empty store', async () => {
    await store.sweep();
    expect(await store.list()).toEqual([]);
  });
});
