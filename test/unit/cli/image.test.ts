import {
  appendFile,
  cp,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createBootSet } from '../../../src/boot/boot-set.ts';
import { register } from '../../../src/cli/image.ts';
import { imageWarnings } from '../../../src/cli/image-warnings.ts';
import type { Digest } from '../../../src/digest.ts';
import { openImageStore } from '../../../src/images/image-store.ts';
import { claimImages, useImages } from '../../../src/images/image-use.ts';
import { wantedRoles } from '../../../src/images/judge-image.ts';
import type { ImageFacts } from '../../../src/roles/image-facts.ts';
import { loadFleet } from '../../../src/roles/load-fleet.ts';
import { openLastGoodSite } from '../../../src/server/last-good-site.ts';
import { openState } from '../../../src/state/state.ts';
import { address, mac } from '../state/fold.ts';
import { runCommands } from './run-rolecall.ts';

const golden = join(import.meta.dirname, '../../golden/overlay');
const facts = JSON.parse(await readFile(join(golden, 'facts.json'), 'utf8')) as ImageFacts;

let state: string;
let digest: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'rolecall-image-'));
  const store = openImageStore(state);
  await writeFile(join(state, 'part'), 'a few bytes');
  const blob = await store.addBlob(join(state, 'part'));
  const image = await store.addImage({
    format: 2,
    name: 'universal',
    architecture: 'amd64',
    suite: 'trixie',
    kernelVersion: '6.12',
    ...{ kernel: blob, initramfs: blob, root: [blob], loaders: {} },
    ...facts,
  });
  digest = image.digest;
});
afterEach(() => rm(state, { recursive: true }));

const run = (...args: string[]) => runCommands([register], '', args, state);
const lab = join(import.meta.dirname, '../../lab/sites/webs');

test('the first digits of a digest, at least four, name an image', async () => {
  expect(await run('image', 'publish', digest.slice(0, 4))).toMatchObject({ code: 0, err: '' });
  expect((await openImageStore(state).resolve('universal', 'amd64'))?.digest).toBe(digest);
});

test('no digit, as an unset variable of a script gives, publishes nothing', async () => {
  for (const word of ['', digest.slice(0, 3)]) {
    const { out, err, code } = await run('image', 'publish', word);
    expect(err).toContain('four digits');
    expect({ out, code }).toEqual({ out: '', code: 2 });
  }
  expect(await openImageStore(state).resolve('universal', 'amd64')).toBeUndefined();
});

test('a bill of materials is printed, or it is said how to get one', async () => {
  const none = await run('image', 'sbom', digest.slice(0, 8));
  expect(none).toMatchObject({ code: 1, err: expect.stringContaining('rolecall build') });
  const sbom = { bomFormat: 'CycloneDX', components: [] };
  await openImageStore(state).writeNote(digest as Digest, 'sbom', sbom);
  expect(JSON.parse((await run('image', 'sbom', digest.slice(0, 8))).out)).toEqual(sbom);
});

test('what decided the bytes of an image is shown', async () => {
  await openImageStore(state).writeNote(digest as Digest, 'provenance', {
    ...{ format: 1, packages: 218, lock: 'ab12' },
    tools: { mmdebstrap: 'mmdebstrap 1.5.7', mksquashfs: 'mksquashfs version 4.6.1' },
    steps: [{ id: 'bootstrap', key: '0123456789abcdef' }],
  });
  const { out } = await run('image', 'show', digest.slice(0, 8));
  expect(out).toContain('mksquashfs version 4.6.1, mmdebstrap 1.5.7');
  expect(out).toContain('218 packages, ab12');
  expect(out).toContain('bootstrap 0123456789ab');
});

test('an image that is not there', async () => {
  const { err, code } = await run('image', 'show', 'univresal');
  expect(err).toContain('no image univresal in the store');
  expect(code).toBe(1);
});

test('two images compared: packages by name, and sizes', async () => {
  const store = openImageStore(state);
  const before = await store.read(digest as Digest);
  if (!before) throw new Error('the image is gone');
  await writeFile(join(state, 'part'), 'a few bytes more');
  const root = [await store.addBlob(join(state, 'part'))];
  const packages = { ...before.manifest.packages, 'added-one': '1:2.0-1' };
  const after = await store.addImage({ ...before.manifest, root, packages });
  const { out, code } = await run('image', 'diff', digest.slice(0, 8), after.digest.slice(0, 8));
  expect(code).toBe(0);
  expect(out).toMatch(/^added-one +added +- +1:2\.0-1$/m);
  expect(out).toMatch(/^root .* 5$/m);
  const json = await run('--json', 'image', 'diff', after.digest, digest);
  expect(JSON.parse(json.out)).toMatchObject([
    {
      ...{ from: after.digest, to: digest },
      packages: [{ package: 'added-one', change: 'removed', from: '1:2.0-1', to: null }],
      sizes: [{ part: 'kernel' }, { part: 'initramfs' }, { part: 'root', from: 16, to: 11 }],
    },
  ]);
});

/** Another image beside the first, published. */
async function publishAnother(text: string): Promise<Digest> {
  const store = openImageStore(state);
  const before = await store.read(digest as Digest);
  if (!before) throw new Error('the image is gone');
  await writeFile(join(state, 'part'), text);
  const root = [await store.addBlob(join(state, 'part'))];
  const image = await store.addImage({ ...before.manifest, root });
  await store.tag(image.digest, 'published');
  return image.digest;
}

test('rollback goes back step by step, says what it took back, and ends with a hint', async () => {
  const store = openImageStore(state);
  await store.tag(digest as Digest, 'published');
  const second = await publishAnother('second');
  const third = await publishAnother('third');
  const { out, code } = await run('image', 'rollback');
  expect(code).toBe(0);
  expect(out).toContain(`nodes boot universal ${second.slice(0, 12)}`);
  expect(out).toContain(`rolecall image publish ${third.slice(0, 12)}`);
  const json = await run('--json', 'image', 'rollback');
  expect(JSON.parse(json.out)).toEqual([{ digest, before: second }]);
  const { err } = await run('image', 'rollback');
  expect(err).toContain(`published before ${digest.slice(0, 12)} is in the store`);
  expect((await run('image', 'rollback', 'other')).err).toContain('no image other (amd64) is pub');
});

test('rollback passes over an image that is gone, and refuses a damaged one', async () => {
  const store = openImageStore(state);
  await store.tag(digest as Digest, 'published');
  const second = await publishAnother('second');
  const third = await publishAnother('third');
  await store.remove([second]);
  await truncate(
    store.blobPath((await store.read(digest as Digest))?.manifest.root[0]?.digest as Digest),
    3,
  );
  const { err, code } = await run('image', 'rollback');
  expect({ err, code }).toMatchObject({ err: expect.stringContaining('is damaged'), code: 1 });
  expect((await store.resolve('universal', 'amd64'))?.digest).toBe(third);
});

test('ls says which images were published before', async () => {
  await openImageStore(state).tag(digest as Digest, 'published');
  await publishAnother('second');
  const { out } = await run('image', 'ls');
  expect(out).toMatch(new RegExp(`${digest.slice(0, 12)} +before `));
  const rows = JSON.parse((await run('--json', 'image', 'ls')).out) as { published: unknown }[];
  expect(rows.map(({ published }) => published).sort()).toEqual([0, 1]);
});

test('name@published is what nodes boot, name its newest build', async () => {
  const store = openImageStore(state);
  await store.tag(digest as Digest, 'built');
  const second = await publishAnother('second');
  expect((await run('image', 'show', 'universal')).out).toContain(digest);
  expect((await run('image', 'show', 'universal@published')).out).toContain(second);
  expect((await run('image', 'show', 'universal@tested')).err).toContain('NAME@published');
});

test('gc shows what goes and why the rest stays, and deletes only when told to', async () => {
  const store = openImageStore(state);
  await store.tag(digest as Digest, 'published');
  const others = [await publishAnother('1'), await publishAnother('2'), await publishAnother('3')];
  const dry = await run('image', 'gc', '--dry-run');
  expect(dry.out).toMatch(new RegExp(`${digest.slice(0, 12)} .* goes`));
  expect(dry.out).toMatch(new RegExp(`${others[2]?.slice(0, 12)} .* stays: published$`, 'm'));
  expect(dry.out).toContain('1 of 4 images go');
  const asked = await run('image', 'gc');
  expect(asked).toMatchObject({ err: expect.stringContaining('--yes'), code: 1 });
  expect(await store.digests()).toHaveLength(4);
  const done = await run('image', 'gc', '--yes');
  expect(done.out).toContain('deleted 1 image');
  expect((await store.digests()).sort()).toEqual([...others].sort());
  const json = JSON.parse((await run('--json', 'image', 'gc', '--past', '0', '--yes')).out);
  expect(json[0].images.filter((one: { deleted: boolean }) => one.deleted)).toHaveLength(2);
  expect((await run('image', 'gc', '--past', 'two')).code).toBe(2);
});

test('gc leaves what a boot needs, by the word of the state folder', async () => {
  const store = openImageStore(state);
  await publishAnother('1');
  const blob = (await store.read(digest as Digest))?.manifest.root[0];
  if (!blob) throw new Error('the image is gone');
  const opened = openState(state);
  const parts = { kernel: blob, initramfs: blob, root: [blob], overlay: blob };
  await opened.boots.record({
    ...{ bootId: 'b'.repeat(32), machine: mac(1), node: 'web1', token: 't', createdAt: 0 },
    address: address(21),
    set: createBootSet({
      node: 'web1',
      roles: [],
      image: digest as Digest,
      arguments: [],
      ...parts,
    }),
  });
  const busy = await run('image', 'gc', '--yes');
  expect(busy.err).toContain('another rolecall has');
  opened.close();
  const { out } = await run('image', 'gc', '--yes');
  expect(out).toContain('stays: booted by web1');
  expect(await store.digests()).toContain(digest);
});

test('gc leaves what another command uses, and nobody begins to use what goes', async () => {
  const store = openImageStore(state);
  await publishAnother('1');
  // Two at once, as an image test and an export.
  const uses = [
    await useImages(state, [digest as Digest]),
    await useImages(state, [digest as Digest]),
  ];
  for (const use of uses) {
    const { out } = await run('image', 'gc', '--yes');
    expect(out).toMatch(new RegExp(`${digest.slice(0, 12)} .* stays: in use by another command`));
    await use.release();
  }
  const claimed = await claimImages(state, [digest as Digest]);
  await expect(useImages(state, [digest as Digest])).rejects.toThrow('is being deleted');
  await claimed.release();
  expect((await run('image', 'gc', '--yes')).out).toContain('deleted 1 image');
  expect(await store.digests()).not.toContain(digest);
  expect(await readdir(join(state, 'images/in-use'))).toEqual([]);
});

test('an image goes from one machine to another in a signed file', async () => {
  await openImageStore(state).tag(digest as Digest, 'built');
  const site = join(state, 'site');
  await cp(join(golden, 'lab-swap/site'), site, { recursive: true });
  const file = join(state, 'universal.tar');
  const key = join(state, 'image.key');
  const made = await run('image', 'key', key);
  expect((await stat(key)).mode & 0o777).toBe(0o600);
  const lines = /images:\n {2}trust: \[(.*)\]/.exec(made.out)?.[0] ?? '';
  expect((await run('image', 'key', key)).out).toContain(lines);
  expect((await run('image', 'export', 'universal', file, '--key', key)).out).toContain(
    'signed by',
  );
  expect((await run('image', 'export', 'universal', file, '--key', key)).err).toContain('--force');
  const other = join(state, 'other');
  const take = (...args: string[]) =>
    runCommands([register], site, ['image', 'import', ...args], other);
  expect((await take(file)).err).toContain(lines);
  await appendFile(join(site, 'site.yaml'), `${lines}\n`);
  expect((await take(file)).out).toContain('not published');
  expect(await openImageStore(other).resolve('universal', 'amd64')).toBeUndefined();
  expect((await take(file, '--publish')).out).toContain('published: nodes boot it');
  expect((await openImageStore(other).resolve('universal', 'amd64'))?.digest).toBe(digest);
});

describe('where the site asks for a test', () => {
  let site: string;
  const there = (...args: string[]) => runCommands([register], site, args, state);
  const published = async () => (await openImageStore(state).resolve('universal', 'amd64'))?.digest;
  beforeEach(async () => {
    site = join(state, 'site');
    await cp(lab, site, { recursive: true });
    await appendFile(join(site, 'site.yaml'), 'images: {publish: tested}\n');
  });

  /** What `image test` writes down. */
  async function noteTests(outcome: 'passed' | 'failed', roles = ['base', 'spare', 'web']) {
    const fleet = await loadFleet(site);
    if (!fleet.ok) throw new Error('the site is wrong');
    const at = new Date().toISOString();
    const verdicts = wantedRoles(fleet.value, 'universal')
      .filter(({ name }) => roles.includes(name))
      .map(({ name, digest: role }) => [name, { outcome, at, role, detail: 'no answer' }]);
    await openImageStore(state).writeNote(digest as Digest, 'tests', {
      ...{ format: 1, site: 'lab', roles: Object.fromEntries(verdicts) },
    });
  }

  test('an untested image is refused, with what to type', async () => {
    const { err, code } = await there('image', 'publish', 'universal');
    expect(code).toBe(1);
    expect(err).toContain('is not tested, and site.yaml says images: {publish: tested}');
    expect(err).toContain('never tested as base, spare, web');
    expect(err).toContain(`rolecall image test ${digest.slice(0, 12)}`);
    expect(await published()).toBeUndefined();
    expect((await there('image', 'ls')).out).toContain('not tested');
  });

  test('one that passed in every role is published, and ls and show say so', async () => {
    await noteTests('passed');
    expect(await there('image', 'publish', 'universal')).toMatchObject({ code: 0, err: '' });
    expect(await published()).toBe(digest);
    expect((await there('image', 'ls')).out).toContain('base, spare, web');
    expect((await there('image', 'show', 'universal')).out).toMatch(/^web +passed +\d{4}-/m);
  });

  test('one that failed, or was not shown in a role that the site has by now, is refused', async () => {
    await noteTests('failed');
    expect((await there('image', 'publish', 'universal')).err).toContain('web failed: no answer');
    await noteTests('passed', ['base', 'web']);
    expect((await there('image', 'publish', 'universal')).err).toContain('never tested as spare');
    expect(await published()).toBeUndefined();
  });

  test('a role that was edited since is said', async () => {
    await noteTests('passed');
    await cp(join(import.meta.dirname, '../../../roles/web'), join(site, 'roles/web'), {
      recursive: true,
    });
    await appendFile(join(site, 'roles/web/role.yaml'), '# edited\n');
    const file = join(site, 'roles/web/files/etc/nginx/nginx.conf.ejs');
    await appendFile(file, '# edited\n');
    const { err, code } = await there('image', 'publish', 'universal');
    expect(code).toBe(0);
    expect(err).toContain('the role web was edited since it was tested');
  });

  test('--untested publishes all the same and says so loudly; check goes on saying it', async () => {
    const { err, code } = await there('image', 'publish', 'universal', '--untested');
    expect(code).toBe(0);
    expect(err).toContain('PUBLISHED UNTESTED');
    expect(await published()).toBe(digest);
    const fleet = await loadFleet(site);
    if (!fleet.ok) throw new Error('the site is wrong');
    const messages = (await imageWarnings(fleet.value, state)).map((warning) => warning.message);
    expect(messages.join()).toContain(`published image universal ${digest.slice(0, 12)} is untest`);
    await noteTests('passed');
    expect(
      (await imageWarnings(fleet.value, state)).map(({ message }) => message).join(),
    ).not.toContain('untested');
  });

  test('the site that was served last counts where the command is typed somewhere else', async () => {
    const fleet = await loadFleet(site);
    if (!fleet.ok) throw new Error('the site is wrong');
    await openLastGoodSite(state).keep(site, fleet.value);
    expect((await run('image', 'publish', 'universal')).err).toContain('never tested');
    await writeFile(join(site, 'site.yaml'), 'nonsense');
    expect((await there('image', 'publish', 'universal')).err).toContain('never tested');
    await rm(join(state, 'last-good-site'), { recursive: true });
    expect((await there('image', 'publish', 'universal')).err).toContain('cannot be read');
    expect(await published()).toBeUndefined();
  });

  test('an import with --publish keeps the image and does not publish it; its tests come along', async () => {
    const other = await mkdtemp(join(tmpdir(), 'rolecall-other-'));
    const [key, file] = [join(other, 'key'), join(other, 'universal.tar')];
    const made = await run('--json', 'image', 'key', key);
    await writeFile(
      join(site, 'site.yaml'),
      (await readFile(join(site, 'site.yaml'), 'utf8')).replace(
        '{publish: tested}',
        `{publish: tested, trust: ["${JSON.parse(made.out)[0].key}"]}`,
      ),
    );
    await run('image', 'export', 'universal', file, '--key', key);
    const arriving = (...args: string[]) => runCommands([register], site, args, other);
    const refused = await arriving('image', 'import', file, '--publish');
    expect(refused).toMatchObject({
      code: 1,
      err: expect.stringContaining('is taken in, and not'),
    });
    const there = openImageStore(other);
    expect((await there.list()).map(({ tags }) => tags)).toEqual([['built']]);
    await noteTests('passed');
    await run('image', 'export', 'universal', file, '--key', key, '--force');
    expect(await arriving('image', 'import', file, '--publish')).toMatchObject({ code: 0 });
    expect((await there.resolve('universal', 'amd64'))?.digest).toBe(digest);
    await rm(other, { recursive: true });
  });

  test('rollback asks for no test: what was published before ran already', async () => {
    const store = openImageStore(state);
    await store.tag(digest as Digest, 'published');
    await publishAnother('second');
    expect(await there('image', 'rollback')).toMatchObject({ code: 0 });
    expect(await published()).toBe(digest);
  });
});

test('image test refuses what it cannot show before anything is started', async () => {
  const there = (...args: string[]) => runCommands([register], lab, args, state);
  expect(await there('image', 'test', '--only', 'lb')).toMatchObject({
    code: 2,
    err: expect.stringContaining('--only lb: no machine of the site has that role'),
  });
  // And lets go of the image: while it does not, its process does not end.
  const claimed = await claimImages(state, [digest as Digest]);
  expect([...claimed.inUse]).toEqual([]);
  await claimed.release();
  expect((await there('image', 'test', '--memory', '12')).code).toBe(2);
  expect((await there('image', 'test', '--accel', 'xen')).code).toBe(2);
  expect((await run('image', 'test')).code).toBe(2);
});
