import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { applyLayer } from '../../src/images/apply-layer.ts';
import { packLayer } from '../../src/images/pack-layer.ts';
import { packSquashfs } from '../../src/images/pack-squashfs.ts';
import { listTree, type TreeEntry } from '../../src/images/tree-listing.ts';
import { runProgram } from '../../src/system/run-program.ts';

const compression = { type: 'zstd', level: 3 } as const;
const epoch = Date.parse('2025-08-09T00:00:00Z') / 1000;
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'layers-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Every kind of inode, and of each kind of change one that overlayfs could get wrong. */
const parent = `
  mkdir -p bin etc/keep.d etc/gone.d/deep var/lib usr/share/doc dev opt/dir opt/file.d "odd name é"
  echo same >bin/same; echo one >bin/changed; echo mode >bin/mode; echo owner >bin/owner
  echo gone >bin/gone; echo "odd" >"odd name é/x y"; echo deep >etc/gone.d/deep/file
  echo a >bin/link-a; ln bin/link-a bin/link-b; ln bin/link-a var/lib/link-c
  echo p >bin/pair-a; ln bin/pair-a bin/pair-b; echo s >bin/split-a; ln bin/split-a bin/split-b
  ln -s same bin/symlink; ln -s one bin/other-target; ln -s changed opt/was-link
  mknod dev/null c 1 3; mknod dev/disk b 8 0; mkfifo dev/pipe
  cp /bin/true bin/capable; setcap cap_net_raw=ep bin/capable; cp bin/capable bin/was-capable
  setcap cap_net_raw=ep bin/was-capable; cp /bin/true bin/now-capable
  cp /bin/true bin/suid; chmod 4755 bin/suid; echo file >opt/to-dir; echo in >opt/dir/in
  mkdir opt/again; echo old >opt/again/old; chmod 1777 var/lib; chown 12:34 etc/keep.d`;
const child = `
  echo two >bin/changed; chmod 0600 bin/mode; chown 1000:1001 bin/owner; rm bin/gone
  rm -r etc/gone.d; rm opt/to-dir; mkdir -m 0750 opt/to-dir; echo new >opt/to-dir/new
  rm -r opt/dir; echo now-a-file >opt/dir; rm opt/was-link; mkdir opt/was-link
  ln bin/link-a bin/link-d; rm var/lib/link-c; echo pp >bin/pair-a
  rm bin/split-b; echo s >bin/split-b; ln -sfn two bin/other-target
  setcap -r bin/was-capable; setcap cap_setuid,cap_chown=eip bin/now-capable
  rm dev/pipe; mknod dev/zero c 1 5; rm dev/disk; mknod dev/disk b 8 16
  rm -r opt/again; mkdir -m 0711 opt/again; echo fresh >opt/again/fresh
  rm "odd name é/x y"; echo "with
newline" >"odd name é/line
feed"; chmod 0700 usr/share/doc; mkdir -p srv/a/b; chown -R 5:6 srv; touch -d 2001-01-01 srv/a
  touch -d 2011-11-11 etc/keep.d`;
const grandchild = `
  rm -r srv opt/to-dir; mkdir -p opt/to-dir; echo third >opt/to-dir/third; echo three >bin/changed
  echo back >bin/gone; rm bin/same; mkdir -p etc/gone.d; echo back >etc/gone.d/back; rm bin/link-d`;

const trees = () => ['0', '1', '2'].map((name) => join(folder, name));

it('layers stacked by overlayfs are the tree that they were made of', async () => {
  await shell(`mkdir 0; cd 0; umask 022; ${parent}`);
  await shell(`cp -a 0 1; cd 1; umask 022; ${child}`);
  await shell(`cp -a 1 2; cd 2; umask 022; ${grandchild}`);
  await Promise.all(trees().map(packTree));
  expect(await stacked(['1', '0'])).toEqual(clamped(await listTree(join(folder, '1'))));
  expect(await stacked(['2', '1', '0'])).toEqual(clamped(await listTree(join(folder, '2'))));
});

it('a layer applied to the tree below it makes the same tree without overlayfs', async () => {
  await shell('rm -r 0; unsquashfs -q -n -d 0 0.squashfs');
  for (const n of ['1', '2']) {
    await shell(`unsquashfs -q -n -d layer-${n} ${n}.squashfs`);
    await applyLayer(join(folder, '0'), join(folder, `layer-${n}`), join(folder, 'paths'));
    expect(await listTree(join(folder, '0'))).toEqual(clamped(await listTree(join(folder, n))));
  }
});

it('the same trees give the same bytes', async () => {
  const [, lower = '', upper = ''] = trees();
  await shell('mkdir scratch');
  const again = join(folder, 'again');
  await packLayer({ lower, upper, scratch: join(folder, 'scratch'), epoch, compression }, again);
  expect((await readFile(`${upper}.squashfs`)).equals(await readFile(again))).toBe(true);
});

async function packTree(upper: string, n: number): Promise<void> {
  const file = `${upper}.squashfs`;
  if (n === 0) return packSquashfs(upper, file, epoch, compression);
  const scratch = join(folder, `scratch-${n}`);
  await shell(`mkdir scratch-${n}`);
  await packLayer({ lower: join(folder, String(n - 1)), upper, scratch, epoch, compression }, file);
}

/** What is seen where the layers are mounted as on a node, the uppermost first. */
async function stacked(layers: readonly string[]): Promise<readonly TreeEntry[]> {
  const lower = layers.map((n) => `ro/${n}`).join(':');
  try {
    await shell(`mkdir -p merged ro; mount -t tmpfs layers ro`);
    for (const n of layers) await shell(`mkdir ro/${n}; mount -o loop,ro ${n}.squashfs ro/${n}`);
    await shell(`mount -t overlay -o ro,lowerdir=${lower} image merged`);
    return await listTree(join(folder, 'merged'));
  } finally {
    await shell('umount merged || :; umount ro/[0-9] || :; umount ro || :');
  }
}

/** The tree as squashfs keeps it: nothing in it is younger than the epoch. */
function clamped(entries: readonly TreeEntry[]): TreeEntry[] {
  return entries.map((entry) => ({ ...entry, mtime: Math.min(entry.mtime, epoch) }));
}

async function shell(script: string): Promise<void> {
  await runProgram('sh', ['-ec', script], { cwd: folder });
}
