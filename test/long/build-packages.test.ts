import {
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { debian } from '../../src/images/distributions/debian.ts';
import { digestOfFile } from '../../src/images/package-cache.ts';
import { type LockedPackage, type PackageLock, parseLock } from '../../src/images/package-lock.ts';
import { findSuiteSources } from '../../src/images/suite-sources.ts';
import { runProgram } from '../../src/system/run-program.ts';
import { type FaultyMirror, startFaultyMirror } from '../lab/harness/faulty-mirror.ts';
import {
  type BuildPlace,
  buildTiny,
  type EndedBuild,
  type TinyImage,
  writeTinyImage,
} from '../lab/harness/tiny-image.ts';

const image: TinyImage = { installation: 'a', packing: 'p', loaders: ['undionly.kpxe'] };
let place: BuildPlace;
let impatient: BuildPlace;
let lockFile: string;
let mirror: FaultyMirror;
let first: string;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'build-packages-'));
  place = { site: join(folder, 'site'), state: join(folder, 'state') };
  impatient = { ...place, env: { APT_CONFIG: join(folder, 'apt.conf') } };
  // A mirror that says nothing has apt's own half a minute, four times over.
  await writeFile(join(folder, 'apt.conf'), 'Acquire::http::Timeout "5";\nAcquire::Retries "0";\n');
  lockFile = join(place.site, 'images/tiny.amd64.lock');
  const { sources } = await findSuiteSources({
    ...{ distribution: debian, suite: 'trixie', extra: [], scratch: join(folder, 'scratch') },
  });
  mirror = await startFaultyMirror([...new Set(sources.map(({ uri }) => uri))]);
  await writeTinyImage(place.site, image);
  const built = await build();
  expect(built, built.stderr).toMatchObject({ code: 0 });
  first = await readFile(lockFile, 'utf8');
});
afterAll(async () => {
  await mirror.stop();
  await rm(join(place.state, '..'), { recursive: true, force: true });
});
beforeEach(async () => {
  mirror.heal();
  await writeTinyImage(place.site, image);
  await writeFile(lockFile, first);
});

function buildImpatiently(): Promise<EndedBuild> {
  return buildTiny(impatient, ['--mirror', mirror.url]);
}

function build(...options: string[]): Promise<EndedBuild> {
  return buildTiny(place, ['--mirror', mirror.url, ...options]);
}

async function readLock(): Promise<PackageLock> {
  const parsed = parseLock(await readFile(lockFile, 'utf8'), lockFile);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.value;
}

function namesOf(lock: PackageLock): string[][] {
  return lock.groups.map(({ packages }) => packages.map(({ name }) => name));
}

/** Takes the packages out of the cache whose file in the lock holds the word. */
async function forgetPackage(word: string): Promise<string> {
  const lock = await readLock();
  const found = lock.groups.flatMap((g) => g.packages).find(({ path }) => path.includes(word));
  if (!found) throw new Error(`no ${word} in the lock`);
  await rm(fileOf(found.digest));
  return found.digest;
}

function fileOf(digest: string): string {
  return join(place.state, 'apt-cache/packages', `${digest}.deb`);
}

/** Takes the output of a step out of the cache and gives back its folder's name. */
async function outputOf(kind: string): Promise<string> {
  const cache = join(place.state, 'build-cache/tiny-amd64');
  const name = (await readdir(cache)).find((folder) => folder.startsWith(`${kind}-`));
  if (name === undefined) throw new Error(`no output of ${kind} is kept`);
  return join(cache, name);
}

describe('a package that', () => {
  // A package each: what one case has installed on top is kept as a step.
  const faults = [
    ['comes cut short', 'cut short', 'netbase', / netbase \S+ all\n {4}/],
    [
      'has other bytes',
      'other bytes',
      'media-types',
      / media-types \S+ all\n {4}.*(Hash Sum mismatch|other bytes)/,
    ],
    ['never comes', 'stalled', 'tree', / tree \S+ amd64\n {4}.*Connection timed out/],
    [
      'meets a mirror that hangs up',
      'hung up',
      'dos2unix',
      / dos2unix \S+ amd64\n {4}.*Connection failed/,
    ],
    [
      'is gone',
      'gone',
      'sensible-utils',
      /no mirror has these versions any more\n {2}sensible-utils \S+ all/,
    ],
  ] as const;
  it.each(faults)(
    '%s is refused; the lock stays, and the next build succeeds',
    async (_how, fault, name, said) => {
      await writeTinyImage(place.site, { ...image, packages: [name] });
      mirror.fail(`/${name}_`, fault);
      const failed = await buildImpatiently();
      expect(failed.code).toBe(1);
      expect(failed.stderr).toMatch(/1 package was not fetched/);
      expect(failed.stderr).toMatch(said);
      expect(await readFile(lockFile, 'utf8')).toBe(first);
      const left = await readdir(join(place.state, 'apt-cache/packages'));
      expect(left.filter((name) => !/^[0-9a-f]{64}\.(deb|control)$/.test(name))).toEqual([]);

      mirror.heal();
      const next = await build();
      expect(next, next.stderr).toMatchObject({ code: 0 });
      expect(namesOf(await readLock())[1]).toEqual([name]);
    },
  );

  it('comes late is waited for', async () => {
    await writeTinyImage(place.site, { ...image, packages: ['zip'] });
    mirror.fail('/zip_', 'late');
    // Half of it comes at once, and apt's patience is for a silence.
    const built = await build();
    expect(built, built.stderr).toMatchObject({ code: 0 });
  });

  it('is damaged in the cache is said, and fetched again', async () => {
    const lock = await readLock();
    const [some] = lock.groups[0]?.packages ?? [];
    if (!some) throw new Error('the lock is empty');
    await truncate(fileOf(some.digest), 100);
    await rm(await outputOf('bootstrap'), { recursive: true });
    await writeTinyImage(place.site, { ...image, installation: 'b' });
    const built = await build();
    expect(built, built.stderr).toMatchObject({ code: 0 });
    expect(built.stderr).toContain(
      `the kept package ${some.name} ${some.version} is damaged and is fetched again`,
    );
  });

  it('is dropped goes from the lock, and the others keep their versions', async () => {
    await writeTinyImage(place.site, { ...image, packages: ['netbase'] });
    expect(await build()).toMatchObject({ code: 0 });
    await writeTinyImage(place.site, image);
    expect(await build()).toMatchObject({ code: 0 });
    expect(await readFile(lockFile, 'utf8')).toBe(first);
  });
});

describe("a mirror's index that", () => {
  // A package each, as above.
  const faults = [
    ['is no index', 'InRelease', 'other bytes', 'ed', /gave is not Debian's index of trixie\n/],
    ['is gone', 'InRelease', 'gone', 'lz4', /no mirror gave the suite trixie:\n(.*\n)*.*404/],
    ['never comes', 'InRelease', 'stalled', 'pv', /no mirror gave the suite.*\n(.*\n)*.*timed out/],
    ['is cut short', '/binary-', 'cut short', 'jq', /indices cannot be read/],
    ['has other bytes', '/binary-', 'other bytes', 'bc', /indices cannot be read/],
  ] as const;
  it.each(faults)(
    '%s is said with what to type; the lock stays, and the next build succeeds',
    async (_how, word, fault, name, said) => {
      await rm(join(place.state, 'apt-cache/indices'), { recursive: true, force: true });
      await writeTinyImage(place.site, { ...image, packages: [name] });
      mirror.fail(word, fault);
      const failed = await buildImpatiently();
      expect(failed.code).toBe(1);
      expect(failed.stderr).toMatch(said);
      expect(failed.stderr).toContain('rolecall build --mirror URL');
      expect(await readFile(lockFile, 'utf8')).toBe(first);

      mirror.heal();
      const next = await build();
      expect(next, next.stderr).toMatchObject({ code: 0 });
    },
  );

  it('is the same as before is not read again', async () => {
    await writeTinyImage(place.site, { ...image, packages: ['hello'] });
    expect(await build()).toMatchObject({ code: 0 });
    const asked = mirror.asked.length;
    await writeTinyImage(place.site, { ...image, packages: ['hello', 'time'] });
    const built = await build();
    expect(built, built.stderr).toMatchObject({ code: 0 });
    expect(
      mirror.asked
        .slice(asked)
        .map((path) => path.replace(/.*\//, ''))
        .sort(),
    ).toEqual([...['InRelease', 'InRelease', 'InRelease', expect.stringMatching(/^time_/)]]);
  });

  it('is gone of the security updates alone is a warning with the reason', async () => {
    await writeTinyImage(place.site, { ...image, packages: ['less'] });
    mirror.fail('trixie-security/InRelease', 'gone');
    const built = await build();
    expect(built, built.stderr).toMatchObject({ code: 0 });
    expect(built.stderr).toMatch(
      /no mirror has trixie-security: the image gets no security updates\n .*404/,
    );
  });
});

describe('a first group of which a package is dropped', () => {
  it('is resolved again in the versions that it had, those gone from the mirror too', async () => {
    await rm(lockFile);
    await writeTinyImage(place.site, { ...image, packages: ['media-types', 'netbase'] });
    const built = await build();
    expect(built, built.stderr).toMatchObject({ code: 0 });
    const older = await makeOlder('media-types');
    await writeTinyImage(place.site, { ...image, packages: ['media-types'] });
    const again = await build();
    expect(again, again.stderr).toMatchObject({ code: 0 });
    const [group] = (await readLock()).groups;
    const names = group?.packages.map(({ name }) => name);
    expect(names).not.toContain('netbase');
    expect(group?.packages.find(({ name }) => name === 'media-types')).toEqual(older);
  });
});

/** Puts a package that no mirror has into the cache and the lock: the same with a version below the first. */
async function makeOlder(name: string): Promise<LockedPackage> {
  const found = (await readLock()).groups.flatMap((g) => g.packages).find((p) => p.name === name);
  if (!found) throw new Error(`no ${name} in the lock`);
  const folder = join(place.state, 'older');
  await runProgram('dpkg-deb', ['--raw-extract', fileOf(found.digest), folder]);
  const control = join(folder, 'DEBIAN/control');
  const text = await readFile(control, 'utf8');
  await writeFile(control, text.replace(/^Version: .*$/m, 'Version: 0~older'));
  const made = join(place.state, 'older.deb');
  await runProgram('dpkg-deb', ['--build', '--root-owner-group', folder, made]);
  const digest = await digestOfFile(made);
  const { size } = await stat(made);
  await rename(made, fileOf(digest));
  await rm(folder, { recursive: true });
  const older = { ...found, version: '0~older', size, digest };
  const lines = await readFile(lockFile, 'utf8');
  const line = [name, older.version, found.architecture, size, digest, found.path].join(' ');
  await writeFile(lockFile, lines.replace(new RegExp(`- ${name} \\S+ .*$`, 'm'), `- ${line}`));
  return older;
}

describe('build --locked', () => {
  it('refuses a lock that does not fit, and says how', async () => {
    await writeTinyImage(place.site, { ...image, packages: ['netbase'] });
    const refused = await build('--locked');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('it lacks netbase');
    expect(refused.stderr).toContain('rolecall build brings it up to date');
    expect(await readFile(lockFile, 'utf8')).toBe(first);
  });

  it('says every version that is gone, and does nothing', async () => {
    await writeTinyImage(place.site, { ...image, installation: 'c' });
    for (const word of ['kmod/kmod_', 'coreutils']) await forgetPackage(word);
    mirror.fail('/kmod_', 'gone');
    mirror.fail('/coreutils_', 'gone');
    const failed = await build('--locked');
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(/2 packages were not fetched: no mirror has these versions/);
    expect(failed.stderr).toMatch(/\n {2}coreutils .*\n(.*\n)*? {2}kmod /);
    expect(failed.stderr).toContain('rolecall build --update');
    mirror.heal();
    expect(await build('--locked')).toMatchObject({ code: 0 });
    expect(await readFile(lockFile, 'utf8')).toBe(first);
  });

  it('names the security updates that the lock lacks, and builds all the same', async () => {
    expect((await build('--locked')).stderr).not.toMatch(/security/);
    // Debian's kernel is renewed by security updates; this lock says that it holds an older one.
    const older = first.replace(/^( +- linux-image-\d\S+) \S+ /m, '$1 1 ');
    expect(older).not.toBe(first);
    await writeFile(lockFile, older);
    const built = await build('--locked');
    expect(built, built.stderr).toMatchObject({ code: 0 });
    expect(built.stderr).toMatch(
      /trixie has security updates .*rolecall build tiny --update.*:\n {2}linux-image-\d\S+ 1, now \d/,
    );
    const [row] = JSON.parse((await build('--locked', '--json')).stdout);
    expect(row.securityUpdates).toMatchObject([
      { package: expect.stringMatching(/^linux-image/), from: '1' },
    ]);
    expect(await readFile(lockFile, 'utf8')).toBe(older);
  });

  it('without a mirror takes what it has, and says what it lacks a mirror for', async () => {
    await writeTinyImage(place.site, { ...image, packing: 'q' });
    const nowhere = ['--locked', '--mirror', 'http://127.0.0.1:9'];
    const alone = await buildTiny(place, nowhere);
    expect(alone, alone.stderr).toMatchObject({ code: 0 });
    expect(alone.stderr).toContain('whether the lock lacks security updates is not known');
    await writeTinyImage(place.site, { ...image, installation: 'd' });
    await forgetPackage('coreutils');
    const failed = await buildTiny(place, nowhere);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain('no mirror gave the suite trixie');
    expect(await build('--locked')).toMatchObject({ code: 0 });
  });
});

describe('build --update', () => {
  it('shows what changes and does nothing where nobody can be asked', async () => {
    const older = first.replace(/^( +- kmod) \S+ /m, '$1 1-1 ');
    await writeFile(lockFile, older);
    const refused = await build('--update');
    expect(refused.code).toBe(1);
    expect(refused.stdout).toMatch(/kmod +upgraded +1-1 +\d/);
    expect(refused.stderr).toContain('--yes');
    expect(await readFile(lockFile, 'utf8')).toBe(older);
    expect(await build('--update', '--yes')).toMatchObject({ code: 0 });
    expect(await readFile(lockFile, 'utf8')).toBe(first);
  });
});

describe('a kept step', () => {
  it('that holds other bytes is said, and made anew', async () => {
    expect(await build()).toMatchObject({ code: 0 });
    const packed = join(await outputOf('bootstrap'), 'root.squashfs');
    const bytes = await readFile(packed);
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    await writeFile(packed, bytes);
    await writeTinyImage(place.site, { ...image, packing: 'r' });
    const built = await build();
    expect(built, built.stderr).toMatchObject({ code: 0 });
    expect(built.stderr).toContain(
      'the kept output of bootstrap is damaged (root.squashfs holds other bytes) and is made anew',
    );
  });
});
