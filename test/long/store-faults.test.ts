import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ImageManifest } from '../../src/boot/image-manifest.ts';
import type { Digest } from '../../src/digest.ts';
import { exportImage } from '../../src/images/image-archive.ts';
import { makeSigningKey, publicHalf, readSigningKey } from '../../src/images/image-signature.ts';
import { openImageStore } from '../../src/images/image-store.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { seededRandom } from '../seeded-random.ts';
import { storeImage } from '../stored-image.ts';

const top = resolve(import.meta.dirname, '../..');
const seed = 20_261_125;
const momentsOfEach = 8;

/** As it was before each try: the first image published after the zeroth, a third one to be deleted. */
let folder = '';
let before = '';
let state = '';
let site = '';
let archive = '';
const images: Digest[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'store-faults-'));
  [before, state, site] = [join(folder, 'before'), join(folder, 'state'), join(folder, 'site')];
  archive = join(folder, 'universal.tar');
  cpSync(join(top, 'examples/lab'), site, { recursive: true });
  const key = readSigningKey(makeSigningKey(), 'key');
  const yaml = readFileSync(join(site, 'site.yaml'), 'utf8');
  await writeFile(join(site, 'site.yaml'), `${yaml}images: {trust: ["${publicHalf(key)}"]}\n`);

  await storeImage(before);
  const store = openImageStore(before);
  const first = await store.resolve('universal', 'amd64');
  if (!first) throw new Error('no image is stored');
  images.push(first.digest);
  const add = async (manifest: ImageManifest, where: typeof store) => {
    const file = join(folder, 'root');
    await writeFile(file, randomBytes(4 * 1024 * 1024));
    const root = await where.addBlob(file);
    // As it is in the manifest of the first one: a blob, or a list of layers.
    const shaped = Array.isArray(manifest.root) ? [root] : root;
    return where.addImage({ ...manifest, root: shaped } as ImageManifest);
  };
  for (let i = 0; i < 2; i += 1) images.push((await add(first.manifest, store)).digest);
  await store.tag(images[1] as Digest, 'published');
  // One that comes from elsewhere.
  await cp(before, join(folder, 'elsewhere'), { recursive: true });
  const elsewhere = openImageStore(join(folder, 'elsewhere'));
  const fourth = await add(first.manifest, elsewhere);
  images.push(fourth.digest);
  await exportImage(fourth, elsewhere, key, archive);
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  rmSync(state, { recursive: true, force: true });
  await cp(before, state, { recursive: true });
});

const [zeroth, first, second, fourth] = [0, 1, 2, 3].map((i) => () => images[i] as Digest) as [
  () => Digest,
  () => Digest,
  () => Digest,
  () => Digest,
];

interface Operation {
  readonly name: string;
  readonly words: () => readonly string[];
  /** What is published when it is done. */
  readonly publishes: () => Digest;
  /** What is in the store then. */
  readonly leaves: () => readonly Digest[];
}

const operations: readonly Operation[] = [
  {
    name: 'import',
    words: () => ['image', 'import', archive],
    publishes: first,
    leaves: () => images,
  },
  {
    name: 'import --publish',
    words: () => ['image', 'import', archive, '--publish'],
    publishes: fourth,
    leaves: () => images,
  },
  {
    name: 'publish',
    words: () => ['image', 'publish', second()],
    publishes: second,
    leaves: () => images.slice(0, 3),
  },
  {
    name: 'rollback',
    words: () => ['image', 'rollback'],
    publishes: zeroth,
    leaves: () => images.slice(0, 3),
  },
  {
    name: 'gc',
    words: () => ['image', 'gc', '--yes', '--past', '0'],
    publishes: first,
    leaves: () => [first()],
  },
];

const main = join(top, 'src/main.ts');
const command = (words: readonly string[], stateDir = state) => [
  '--disable-warning=ExperimentalWarning',
  main,
  ...['--site', site, '--state', stateDir],
  ...words,
];

/** Runs it and kills it after that many milliseconds, where it runs so long; how long it took. */
async function killedAfter(words: readonly string[], milliseconds: number): Promise<number> {
  const start = performance.now();
  const child = spawn(process.execPath, command(words), { stdio: 'ignore' });
  const timer = setTimeout(() => child.kill('SIGKILL'), milliseconds);
  await once(child, 'close');
  clearTimeout(timer);
  return performance.now() - start;
}

async function publishedNow(): Promise<Digest | undefined> {
  const store = openImageStore(state);
  const found = await store.resolve('universal', 'amd64');
  // Nodes can boot it: every byte is as it should be.
  if (found) expect(await store.verify(found.digest)).toEqual([]);
  return found?.digest;
}

describe.each(operations)('$name', ({ name, words, publishes, leaves }) => {
  it(`killed at ${momentsOfEach} moments leaves an image published that boots, and works when it is run again (seed ${seed})`, async () => {
    const random = seededRandom(seed + name.length);
    const whole = await killedAfter(words(), 600_000);
    expect(await publishedNow()).toBe(publishes());
    let left = 0;
    for (let i = 0; i < momentsOfEach; i += 1) {
      rmSync(state, { recursive: true, force: true });
      await cp(before, state, { recursive: true });
      // Most of the time is Node's start: what matters is the end.
      await killedAfter(words(), whole * (0.5 + random() / 2));
      const found = await publishedNow();
      expect([first(), publishes()]).toContain(found);
      // Rollback is the one that goes further when it is run again.
      if (name === 'rollback' && found === publishes()) continue;
      await runProgram(process.execPath, command(words()));
      expect(await publishedNow()).toBe(publishes());
      expect(await openImageStore(state).digests()).toEqual([...leaves()].sort());
      left += 1;
    }
    process.stderr.write(
      `${name}: ${left} of ${momentsOfEach} run again, ${Math.round(whole)} ms each\n`,
    );
    // What killed ones left goes with the next gc.
    await runProgram(process.execPath, command(['image', 'gc', '--yes']));
    expect(await readdir(join(state, 'images/incoming')).catch(() => [])).toEqual([]);
  });
});

/** Runs shell lines where the state folder is a copy on a disk of that size, with `rolecall` at hand. */
async function onSmallDisk(mebibytes: number, script: string): Promise<string> {
  const shell = `mount -t tmpfs -o size=${mebibytes}m tmpfs "$1" && cp -a "$2"/. "$1"
state=$1 node=$3 main=$4 site=$5
rolecall() { "$node" --disable-warning=ExperimentalWarning "$main" --site "$site" --state "$state" "$@"; }
${script}`;
  const { stdout } = await runProgram('unshare', [
    ...['--mount', 'sh', '-c', shell, 'sh'],
    ...[state, before, process.execPath, main, site],
  ]);
  return stdout;
}

describe('on a full disk', () => {
  const show = `rolecall image verify >/dev/null && rolecall --json image ls | tr -d ' \\n' |
  sed 's/.*"digest":"\\([0-9a-f]*\\)","tags":\\[[^]]*"published".*/published \\1\\n/'`;

  it('an import says so, leaves nothing of itself, and what is published', async () => {
    const said = await onSmallDisk(
      12,
      `rolecall image import ${archive} 2>&1; echo "ended with $?"
ls "$state/images/incoming" | wc -l
${show}`,
    );
    expect(said).toMatch(/no space left/i);
    expect(said).toMatch(/ended with 1\n0\n/);
    expect(said).toContain(`published ${first()}`);
  });

  it.each([
    ['publish', () => `publish ${second()}`, second],
    ['rollback', () => 'rollback', zeroth],
  ])('%s says so and changes nothing, and works when there is room', async (_name, words, to) => {
    const said = await onSmallDisk(
      16,
      `dd if=/dev/zero of="$state/full" bs=4k 2>/dev/null
rolecall image ${words()} 2>&1; echo "ended with $?"
${show}
rm "$state/full"
rolecall image ${words()} >/dev/null && ${show}`,
    );
    expect(said).toMatch(/no space left/i);
    expect(said).toContain('ended with 1');
    expect(said.match(/published [0-9a-f]{64}/g)).toEqual([
      `published ${first()}`,
      `published ${to()}`,
    ]);
  });

  it('gc makes room', async () => {
    const said = await onSmallDisk(
      16,
      `dd if=/dev/zero of="$state/full" bs=4k 2>/dev/null
rolecall image gc --yes --past 0 2>&1; echo "ended with $?"
${show}`,
    );
    expect(said).toContain('ended with 0');
    expect(said).toContain(`published ${first()}`);
  });
});
