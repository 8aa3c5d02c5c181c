import { mkdir, mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Problem } from '../../../src/errors.ts';
import { loadSite } from '../../../src/site/load-site.ts';
import type { Site } from '../../../src/site/site.ts';
import { type Generation, type SiteWatch, watchSite } from '../../../src/site/watch-site.ts';
import { runProgram } from '../../../src/system/run-program.ts';
import { nodeYaml, siteYaml } from './a-site.ts';

let repo: string;
let dir: string;
let watch: SiteWatch | undefined;
let generations: Generation<Site>[];
let held: Problem[];

beforeEach(async () => {
  repo = await mkdtemp(join(tmpdir(), 'rolecall-watch-'));
  dir = join(repo, 'site');
  generations = [];
  held = [];
  await mkdir(join(dir, 'nodes'), { recursive: true });
  await writeFile(join(dir, 'site.yaml'), siteYaml());
  await writeFile(join(dir, 'nodes/web1.yaml'), nodeYaml(11));
});
afterEach(async () => {
  await watch?.stop();
  watch = undefined;
  await rm(repo, { recursive: true });
});

async function start(options: { quietMs?: number; pollMs?: number; heldMs?: number } = {}) {
  watch = await watchSite({
    dir,
    load: () => loadSite(dir),
    onGeneration: (generation) => void generations.push(generation),
    onHeld: (problem) => void held.push(problem),
    quietMs: 40,
    // Longer than any test, so that the kernel's events alone must do.
    pollMs: 60_000,
    ...options,
  });
}

const rolesOf = (generation: Generation<Site> | undefined) =>
  generation?.result.ok ? generation.result.value.nodes.get('web1')?.roles : 'invalid';

const arrives = (number: number) =>
  vi.waitFor(() => expect(generations.at(-1)?.number).toBe(number), {
    timeout: 10_000,
    interval: 10,
  });

test('the first reading is generation 1, an edit the next', async () => {
  await start();
  expect(generations.map((g) => g.number)).toEqual([1]);
  await writeFile(join(dir, 'nodes/web1.yaml'), nodeYaml(11, 'mail'));
  await arrives(2);
  expect(rolesOf(generations[1])).toEqual(['mail']);
});

test('a broken edit is a generation with problems, and its repair another', async () => {
  await start();
  await writeFile(join(dir, 'nodes/web1.yaml'), 'role: [web\n');
  await arrives(2);
  expect(rolesOf(generations[1])).toBe('invalid');
  await writeFile(join(dir, 'nodes/web1.yaml'), nodeYaml(11));
  await arrives(3);
  expect(rolesOf(generations[2])).toEqual(['web']);
});

test('a new file, a renamed one and a deleted one are seen, as are new folders', async () => {
  await start();
  await writeFile(join(dir, 'aside'), nodeYaml(12));
  await rename(join(dir, 'aside'), join(dir, 'nodes/web2.yaml'));
  await vi.waitFor(() => expect(sizeOf(generations.at(-1))).toBe(2), { timeout: 10_000 });
  await rm(join(dir, 'nodes/web2.yaml'));
  await vi.waitFor(() => expect(sizeOf(generations.at(-1))).toBe(1), { timeout: 10_000 });
  const { number } = generations.at(-1) ?? { number: 0 };
  await mkdir(join(dir, 'roles/web/files/etc'), { recursive: true });
  await writeFile(join(dir, 'roles/web/files/etc/motd'), 'hello\n');
  await arrives(number + 1);
});

const sizeOf = (generation: Generation<Site> | undefined) =>
  generation?.result.ok ? generation.result.value.nodes.size : 0;

test('a file written bit by bit is read once, when it is whole', async () => {
  await start({ quietMs: 300 });
  const file = await open(join(dir, 'nodes/web1.yaml'), 'w');
  for (const line of nodeYaml(11, 'mail').match(/.{1,9}|\n/g) ?? []) {
    await file.write(line);
    await delay(80);
  }
  await file.close();
  await arrives(2);
  expect(generations.map(rolesOf)).toEqual([['web'], ['mail']]);
});

test('a change during the reading is read too, and nobody hears of the mixture', async () => {
  let readings = 0;
  const seen: unknown[] = [];
  watch = await watchSite({
    dir,
    quietMs: 20,
    load: async () => {
      readings += 1;
      const result = await loadSite(dir);
      if (readings === 1) await writeFile(join(dir, 'nodes/web1.yaml'), nodeYaml(11, 'mail'));
      return result;
    },
    onGeneration: (generation) => void seen.push(rolesOf(generation)),
  });
  expect(readings).toBe(2);
  expect(seen).toEqual([['mail']]);
});

test('waits for git, also of a repository above the site, and says so when it takes long', async () => {
  await runProgram('git', ['init', '--quiet', repo]);
  await start({ heldMs: 150 });
  const lock = join(repo, '.git/index.lock');
  await writeFile(lock, '');
  await writeFile(join(dir, 'nodes/web1.yaml'), nodeYaml(11, 'mail'));
  await vi.waitFor(() => expect(held).toHaveLength(1), { timeout: 10_000 });
  expect(held[0]?.message).toContain(lock);
  await writeFile(join(dir, 'nodes/web1.yaml'), nodeYaml(11, 'lb'));
  expect(generations).toHaveLength(1);
  await rm(lock);
  await arrives(2);
  expect(rolesOf(generations[1])).toEqual(['lb']);
});

test('git that starts while the files are quiet is waited for too', async () => {
  await runProgram('git', ['init', '--quiet', repo]);
  await start({ quietMs: 400 });
  await writeFile(join(dir, 'nodes/web1.yaml'), nodeYaml(11, 'mail'));
  await delay(150);
  await writeFile(join(repo, '.git/index.lock'), '');
  await delay(800);
  expect(generations).toHaveLength(1);
  await rm(join(repo, '.git/index.lock'));
  await arrives(2);
});

test('follows a worktree to its own lock', async () => {
  await runProgram('git', ['init', '--quiet', repo]);
  const who = ['-c', 'user.name=ops', '-c', 'user.email=ops@tokyo.example'];
  await runProgram('git', ['-C', repo, ...who, 'commit', '--quiet', '--allow-empty', '-m', 'site']);
  await runProgram('git', ['-C', repo, 'worktree', 'add', '--quiet', join(repo, 'tree')]);
  await rename(dir, join(repo, 'tree/site'));
  dir = join(repo, 'tree/site');
  await start();
  const lock = join(repo, '.git/worktrees/tree/index.lock');
  await writeFile(lock, '');
  await writeFile(join(dir, 'nodes/web1.yaml'), nodeYaml(11, 'mail'));
  await delay(400);
  expect(generations).toHaveLength(1);
  await rm(lock);
  await arrives(2);
});

test('what editors and git write beside the files is no change', async () => {
  await runProgram('git', ['init', '--quiet', dir]);
  await start({ pollMs: 50 });
  for (const name of [
    'nodes/.web1.yaml.swp',
    'nodes/web1.yaml~',
    'nodes/4913',
    'nodes/.#web1.yaml',
    'nodes/web1.yaml.1f.tmp',
    '.git/FETCH_HEAD',
  ]) {
    await writeFile(join(dir, name), 'x');
  }
  await delay(400);
  expect(generations).toHaveLength(1);
});

test('sees changes where the kernel reports none', async () => {
  const later = join(repo, 'later');
  const site = dir;
  dir = later;
  await start({ pollMs: 50 });
  expect(rolesOf(generations[0])).toBe('invalid');
  await rename(site, later);
  await vi.waitFor(() => expect(rolesOf(generations.at(-1))).toEqual(['web']), { timeout: 10_000 });
});

test('reload reads again what did not change', async () => {
  await start();
  watch?.reload();
  await arrives(2);
});

test('a reading that cannot be put in force is tried again, and said once', async () => {
  let failures = 0;
  watch = await watchSite({
    dir,
    load: () => loadSite(dir),
    onGeneration: async (generation) => {
      if (generation.number === 2 && failures < 3) {
        failures += 1;
        throw new Error('no space left on device');
      }
      generations.push(generation);
    },
    onHeld: (problem) => void held.push(problem),
    quietMs: 20,
    pollMs: 50,
  });
  await writeFile(join(dir, 'nodes/web1.yaml'), nodeYaml(11, 'mail'));
  await arrives(2);
  expect(failures).toBe(3);
  expect(rolesOf(generations.at(-1))).toEqual(['mail']);
  expect(held.map((problem) => problem.message)).toEqual([
    'the site cannot be put in force: no space left on device',
  ]);
});
