import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openImageStore } from '../../src/images/image-store.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { type SignedRepository, startSignedRepository } from './harness/signed-repository.ts';
import { buildImageOf, writeTinyImage } from './harness/tiny-image.ts';

const planted = 'kept-out-of-every-layer';
const definition = (uri: string) => `name: edge
extends: tiny
packages: [dash, grep, of-the-site]
sources: [{ uri: '${uri}', suite: site, components: [main], key: site.asc }]
prune: { paths: [usr/share/man, usr/share/locale] }
files: [files, { from: motd, to: etc/motd, mode: 0640, owner: '0:4' }]
hooks: [{ run: hooks/one, secrets: [token] }, hooks/two, { run: hooks/three, network: true }]
`;
const hookOne = `#!/bin/sh
set -e
env > /etc/environment-of-hook
cat /run/secrets/token > /tmp/token
cat /tmp/token /run/secrets/token | wc -c > /etc/length
ls /sys/class/net /proc/1/net/dev 2>&1 | grep -v lo > /dev/null
grep -c : /proc/net/dev > /etc/interfaces
`;
const hookTwo = `#!/bin/sh
ls /run/secrets > /etc/secrets-of-two
rm /usr/bin/tempfile
chmod 0700 /usr/bin/savelog
`;

const hookThree = (uri: string) => `#!/bin/sh
busybox wget -q -O /etc/fetched ${uri}/dists/site/Release
`;

let folder = '';
let repository: SignedRepository;
const place = () => ({ site: join(folder, 'site'), state: join(folder, 'state') });
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'extended-'));
  const { site } = place();
  await writeTinyImage(site, { installation: 'a', packing: 'p', loaders: ['undionly.kpxe'] });
  const write = async (path: string, text: string, mode = 0o644) => {
    await mkdir(join(site, 'images', path, '..'), { recursive: true });
    await writeFile(join(site, 'images', path), text, { mode });
  };
  await write('motd', 'this is the edge\n');
  const key = join(site, 'images/site.asc');
  repository = await startSignedRepository(join(folder, 'repository'), 'of-the-site', key);
  await write('edge.yaml', definition(repository.uri));
  await write('files/etc/edge.conf', 'edge: true\n');
  await write('hooks/one', hookOne, 0o755);
  await write('hooks/two', hookTwo, 0o755);
  await write('hooks/three', hookThree(repository.uri), 0o755);
  // As a link of systemd-resolved it would lead to a file of this machine, seen from outside the root.
  await writeFile(join(folder, 'of-the-host'), 'untouched');
  await symlink(join(folder, 'of-the-host'), join(site, 'images/files/etc/resolv.conf'));
  await writeFile(join(folder, 'token'), `${planted}-in-a-file`);
});
afterAll(async () => {
  repository?.stop();
  await rm(folder, { recursive: true, force: true });
});

const secret = () => ['--secret', `token=${join(folder, 'token')}`];

it('what an image adds to another is a layer of its own, the same bytes each time', async () => {
  const without = await buildImageOf(place(), 'edge');
  expect(without.code).toBe(1);
  expect(without.stderr).toMatch(/hooks want token, .*\n.*--secret token=FILE/);
  process.env.PLANTED = `${planted}-in-the-environment`;
  const built = await buildImageOf(place(), 'edge', secret());
  delete process.env.PLANTED;
  expect(built, built.stderr).toMatchObject({ code: 0 });
  const store = openImageStore(place().state);
  const edge = await store.resolve('edge', 'amd64');
  const [base, layer, ...more] = edge?.manifest.root ?? [];
  if (!edge || !base || !layer) throw new Error(built.stdout);
  expect(more).toEqual([]);
  expect(layer.size).toBeLessThan(base.size / 4);

  const tree = join(folder, 'layer');
  await runProgram('unsquashfs', ['-q', '-n', '-d', tree, store.blobPath(layer.digest)]);
  const found = async (path: string) => (await readFile(join(tree, path), 'utf8')).trim();
  expect(await found('etc/edge.conf')).toBe('edge: true');
  expect(await found('usr/lib/of-the-site/words')).toBe('from a repository of the site');
  expect(repository.asked).toContain('/pool/of-the-site_1.0_all.deb');
  expect(await found('etc/length')).toBe(String(2 * `${planted}-in-a-file`.length));
  expect(await found('etc/interfaces'), 'loopback alone').toBe('1');
  expect(await found('etc/fetched'), 'with the network').toContain('Codename: site');
  expect(await readFile(join(folder, 'of-the-host'), 'utf8')).toBe('untouched');
  expect(await found('etc/secrets-of-two'), 'the first hook’s secret').toBe('');
  expect(await found('etc/environment-of-hook')).not.toMatch(/PLANTED|VITEST|USER/);
  const { stdout } = await runProgram('find', [tree, '-printf', '%P %y %m %U:%G %t\n']);
  expect(stdout).toMatch(/^etc\/motd f 640 0:4 Sat Aug {2}9 00:00:00/m);
  expect(stdout).toMatch(/^usr\/share\/locale c 644 0:0 /m);
  expect(stdout).toMatch(/^usr\/bin\/savelog f 700 /m);
  expect(stdout).not.toMatch(/tempfile|^run|^tmp|\/coreutils/m);

  // Built once more from the parent's outputs: the same image.
  const cache = join(place().state, 'build-cache/tiny-amd64');
  for (const name of await readdir(cache)) {
    if (/^(customize|layer|facts|assemble)-/.test(name))
      await rm(join(cache, name), { recursive: true });
  }
  const again = await buildImageOf(place(), 'edge', secret());
  expect(again.stdout).toContain(edge.digest);
  expect(again.stderr).toMatch(/customize|copy files/);

  // Its parent is built from what is there, and shares what they have in common.
  const parent = await buildImageOf(place(), 'tiny');
  expect(parent.stderr).toMatch(/install \d+ packages of trixie amd64: unchanged/);
  expect((await store.resolve('tiny', 'amd64'))?.manifest.root).toEqual([base]);
  // Where the site's repository is decides nothing.
  repository.stop();
  const file = join(place().site, 'images/edge.yaml');
  await writeFile(file, definition('http://another.example.net/debian'));
  const kept = await buildImageOf(place(), 'edge', secret());
  expect(kept.stdout).toContain('nothing changed');
});

it('no secret is in any layer, in no blob and in nothing that a build keeps', async () => {
  const { state } = place();
  const store = openImageStore(state);
  const trees = join(folder, 'trees');
  await mkdir(trees);
  for (const { manifest } of await store.list()) {
    for (const { digest } of manifest.root) {
      const tree = join(trees, digest);
      await runProgram('unsquashfs', ['-q', '-n', '-f', '-d', tree, store.blobPath(digest)]);
    }
  }
  // What the cache keeps is packed too.
  const cache = join(state, 'build-cache/tiny-amd64');
  for (const name of await readdir(cache)) {
    for (const file of await readdir(join(cache, name))) {
      if (!file.endsWith('.squashfs')) continue;
      const tree = join(trees, name);
      await runProgram('unsquashfs', ['-q', '-n', '-f', '-d', tree, join(cache, name, file)]);
    }
  }
  const grep = ['--recursive', '--files-with-matches', '--text', '--devices=skip', planted];
  const { stdout } = await runProgram('grep', [...grep, trees, state], { accept: [1] });
  expect(stdout).toBe('');
  // The search itself finds what is there.
  await writeFile(join(trees, 'proof'), planted);
  expect((await runProgram('grep', [...grep, trees])).stdout).toBe(join(trees, 'proof'));
});
