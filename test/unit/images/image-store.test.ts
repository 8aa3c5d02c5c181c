import { appendFile, mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ImageManifest, readManifest } from '../../../src/boot/image-manifest.ts';
import { type Digest, digestOf } from '../../../src/digest.ts';
import { type ImageStore, openImageStore } from '../../../src/images/image-store.ts';
import { waitForFileLock } from '../../../src/system/file-lock.ts';

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
    format: 2,
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
    root: [await blob(`root ${text}`)],
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

  it('come whole or not at all', async () => {
    async function* bytes(text: string) {
      yield Buffer.from(text);
    }
    const wanted = { digest: digestOf('some bytes'), size: 10 };
    for (const text of ['some bites', 'some byte', '']) {
      await expect(store.addBytes(bytes(text), wanted)).rejects.toMatchObject({
        code: 'wrong-blob',
      });
    }
    expect(await store.hasBlob(wanted)).toBe(false);
    await expect(store.addBlob(join(state, 'absent'))).rejects.toThrow('ENOENT');
    expect(await readdir(join(state, 'images/incoming'))).toEqual([]);
    await store.addBytes(bytes('some bytes'), wanted);
    expect(await store.hasBlob(wanted)).toBe(true);
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

  it('of the time before layers keep their digest and their text, and can be booted', async () => {
    const { root, ...rest } = await manifest('1');
    const text = JSON.stringify({ ...rest, format: 1, root: root[0] });
    const { digest } = await store.addImage(readManifest(text), text);
    expect(digest).toBe(digestOf(text));
    expect(await store.text(digest)).toBe(text);
    expect((await store.read(digest))?.manifest).toEqual({ ...rest, format: 2, root });
    expect(await store.verify(digest)).toEqual([]);
  });

  it('have every layer of their root', async () => {
    const one = await manifest('1');
    const root = [...one.root, await blob('layer')];
    const { digest } = await store.addImage({ ...one, root });
    expect(await store.sweep()).toBe(0);
    await rm(store.blobPath(digestOf('layer')));
    expect(await store.verify(digest)).toMatchObject([{ part: 'root layer 2' }]);
    await expect(store.addImage({ ...one, root })).rejects.toMatchObject({ code: 'blob-missing' });
  });

  it('are refused while a part of them is missing', async () => {
    const whole = await manifest('1');
    await rm(store.blobPath(whole.kernel.digest));
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

describe('publications', () => {
  const publish = async (text: string) => {
    const { digest } = await store.addImage(await manifest(text));
    await store.tag(digest, 'published');
    return digest;
  };
  const published = () => store.published('universal', 'amd64');

  it('can be taken back, one after the other', async () => {
    const [first, second, third] = [await publish('1'), await publish('2'), await publish('3')];
    expect(await published()).toEqual([third, second, first]);
    await store.rollback(second);
    expect(await published()).toEqual([second, first]);
    expect((await store.resolve('universal', 'amd64'))?.digest).toBe(second);
    await expect(store.rollback(third)).rejects.toMatchObject({ code: 'not-published-before' });
    await store.rollback(first);
    expect(await published()).toEqual([first]);
  });

  it('by several at once are all remembered', async () => {
    const digests: Digest[] = [];
    for (const n of [1, 2, 3, 4, 5]) {
      digests.push((await store.addImage(await manifest(`${n}`))).digest);
    }
    // Each store as another process has it: what keeps them apart is the lock in the folder.
    await Promise.all(digests.map((digest) => openImageStore(state).tag(digest, 'published')));
    expect([...(await published())].sort()).toEqual(digests.sort());
  });
});

describe('removed images', () => {
  it.each(['tag', 'rollback'] as const)(
    'are not named by a %s that waited for the removal',
    async (how) => {
      const first = await store.addImage(await manifest('1'));
      const second = await store.addImage(await manifest('2'));
      await store.tag(first.digest, 'published');
      await store.tag(second.digest, 'published');
      const removal = await waitForFileLock(join(state, 'images/tags.lock'));
      const late =
        how === 'tag' ? store.tag(first.digest, 'published') : store.rollback(first.digest);
      // It waits for the lock by now.
      await new Promise((resolve) => setTimeout(resolve, 100));
      await rm(join(state, `images/manifests/${first.digest}.json`));
      const outcome = expect(late).rejects.toMatchObject({ code: 'no-such-image' });
      await removal.release();
      await outcome;
      expect((await store.resolve('universal', 'amd64'))?.digest).toBe(second.digest);
    },
  );

  it('take with them what no other image needs', async () => {
    const first = await store.addImage(await manifest('1'));
    const second = await store.addImage(await manifest('2'));
    await store.tag(second.digest, 'built');
    const bytes = await store.remove([first.digest]);
    expect(bytes).toBe('kernel 1initramfs 1root 1'.length);
    expect(await store.digests()).toEqual([second.digest]);
    expect(await store.verify(second.digest)).toEqual([]);
  });

  it('are none that a tag names by now', async () => {
    const first = await store.addImage(await manifest('1'));
    const second = await store.addImage(await manifest('2'));
    await store.tag(second.digest, 'published');
    await expect(store.remove([first.digest, second.digest])).rejects.toMatchObject({
      code: 'image-tagged',
    });
    expect(await store.digests()).toEqual([first.digest, second.digest].sort());
  });
});

describe('notes', () => {
  it('that several add to at once hold what each has added', async () => {
    const { digest } = await store.addImage(await manifest('1'));
    const names = ['web', 'mail', 'lb', 'logs', 'storage'];
    await Promise.all(
      names.map((name) =>
        // As another process has it.
        openImageStore(state).changeNote(digest, 'tests', (before) => [
          ...((before ?? []) as string[]),
          name,
        ]),
      ),
    );
    expect([...((await store.note(digest, 'tests')) as string[])].sort()).toEqual(names.sort());
  });
});

describe('verify', () => {
  it('finds every kind of damage and names the part', async () => {
    const image = await store.addImage(await manifest('1'));
    expect(await store.verify(image.digest)).toEqual([]);
    const { kernel, initramfs } = image.manifest;
    const [root] = image.manifest.root;
    await rm(store.blobPath(kernel.digest));
    await truncate(store.blobPath(initramfs.digest), 3);
    await writeFile(store.blobPath(root?.digest ?? kernel.digest), 'ROOT 1');
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

  it('takes nothing away from who writes a tag or a note meanwhile', async () => {
    const image = await store.addImage(await manifest('1'));
    await store.tag(image.digest, 'published');
    await store.writeNote(image.digest, 'sbom', {});
    const halves = ['tags/universal/amd64/published.0a.tmp', `notes/${image.digest}.sbom.0a.tmp`];
    for (const half of halves) await writeFile(join(state, 'images', half), '');
    const writer = await waitForFileLock(join(state, 'images/tags.lock'));
    const sweep = store.sweep();
    // It waits for the lock by now.
    await new Promise((resolve) => setTimeout(resolve, 100));
    for (const half of halves) await rm(join(state, 'images', half));
    await writer.release();
    await sweep;
  });

  it('leaves a damaged manifest that nodes boot, and all that may be its', async () => {
    const image = await store.addImage(await manifest('1'));
    await store.tag(image.digest, 'published');
    await appendFile(join(state, `images/manifests/${image.digest}.json`), ' ');
    expect(await store.sweep()).toBe(0);
    expect(await store.digests()).toEqual([image.digest]);
    expect(await store.hasBlob(image.manifest.kernel)).toBe(true);
    // The same image built once more mends it.
    await store.addImage(image.manifest);
    expect(await store.verify(image.digest)).toEqual([]);
  });

  it('deletes a damaged manifest that no tag names', async () => {
    const image = await store.addImage(await manifest('1'));
    await appendFile(join(state, `images/manifests/${image.digest}.json`), ' ');
    expect(await store.sweep()).toBe('kernel 1initramfs 1root 1rom'.length);
    expect(await store.digests()).toEqual([]);
  });

  it('is content with an empty store', async () => {
    await store.sweep();
    expect(await store.list()).toEqual([]);
  });
});
