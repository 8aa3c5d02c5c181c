import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import { AppError } from '../../../src/errors.ts';
import type { Step } from '../../../src/images/build-step.ts';
import {
  type BuildEvent,
  executeBuild,
  stepsToRun,
  sweepCache,
} from '../../../src/images/execute-build.ts';
import { openImageStore } from '../../../src/images/image-store.ts';
import { openPackageCache } from '../../../src/images/package-cache.ts';
import type { Executors } from '../../../src/images/steps/executor.ts';

let state = '';
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'build-'));
});
afterEach(() => rm(state, { recursive: true, force: true }));

const steps: Step[] = [
  {
    ...{ id: 'kernel', kind: 'kernel', from: 'bootstrap' },
    ...{ key: digestOf('1'), needs: [], inputs: { word: 'one' } },
  },
  {
    ...{ id: 'facts', kind: 'facts', from: 'squash' },
    ...{ key: digestOf('2'), needs: ['kernel'], inputs: {} },
  },
];

/** Executors of which the two above leave a file, unless they are told otherwise. */
function executors(changed: Partial<Executors> = {}): Executors {
  const refuse = () => Promise.reject(new Error('not in this plan'));
  return {
    ...{ bootstrap: refuse, packages: refuse, squash: refuse, initramfs: refuse },
    ...{ loaders: refuse, assemble: refuse, customize: refuse, layer: refuse },
    kernel: (_step, { output }) => writeFile(join(output, 'kernel'), 'k'),
    facts: async (_step, { output, input }) =>
      writeFile(join(output, 'facts'), `${await readFile(join(input('kernel'), 'kernel'))}f`),
    ...changed,
  };
}

async function run(changed: Partial<Executors> = {}, plan = steps): Promise<string[]> {
  const seen: string[] = [];
  const onEvent = (event: BuildEvent) => {
    if (event.kind === 'warning') seen.push(event.text);
    else if ('index' in event) seen.push(`${event.kind} ${event.index}/${event.of}`);
  };
  const cache = join(state, 'cache');
  await executeBuild(plan, await stepsToRun(plan, { cache, onEvent }), {
    executors: executors(changed),
    cache,
    work: join(state, 'work'),
    packages: openPackageCache(join(state, 'packages')),
    secrets: {},
    modules: join(cache, 'modules'),
    store: openImageStore(state),
    now: () => 0,
    onEvent,
  });
  return seen;
}

const cached = async () => (await readdir(join(state, 'cache'))).map((name) => name.slice(0, 8));

describe('a build', () => {
  it('does every step, and none of them a second time', async () => {
    expect(await run()).toEqual([
      ...['step-started 1/2', 'step-done 1/2', 'step-started 2/2', 'step-done 2/2'],
    ]);
    const facts = join(state, 'cache', `facts-${digestOf('2')}`, 'facts');
    expect(await readFile(facts, 'utf8')).toBe('kf');
    expect(await run()).toEqual(['step-kept 1/2', 'step-kept 2/2']);
  });

  it('does a step that is not kept again where a later one reads it, and else not', async () => {
    const [kernel, facts] = steps;
    if (!kernel || !facts) throw new Error('no steps');
    const plan: Step[] = [{ ...kernel, passing: true }, facts];
    // What passes leaves its root to the next step, and no files.
    const passing: Partial<Executors> = {
      kernel: async () => undefined,
      facts: (_step, { output }) => writeFile(join(output, 'facts'), 'f'),
    };
    const both = ['step-started 1/2', 'step-done 1/2', 'step-started 2/2', 'step-done 2/2'];
    expect(await run(passing, plan)).toEqual(both);
    expect(await cached()).toEqual(['facts-d4']);
    expect(await run(passing, plan)).toEqual(['step-kept 2/2']);
    await rm(join(state, 'cache', `facts-${digestOf('2')}`), { recursive: true });
    expect(await run(passing, plan)).toEqual(both);
  });

  it('keeps whole steps and nothing of a failed one', async () => {
    const failing: Partial<Executors> = {
      facts: async (_step, { output }) => {
        await writeFile(join(output, 'half'), '');
        throw new AppError(
          'program-failed',
          'mmdebstrap …\n  ended with exit code 1',
          'look there',
        );
      },
    };
    await expect(run(failing)).rejects.toMatchObject({
      code: 'program-failed',
      message: expect.stringMatching(/^step 2\/2 \(facts: .*\) failed\nmmdebstrap …\n {2}ended/s),
      hint: 'look there',
    });
    expect(await cached()).toEqual(['kernel-6']);
    expect(await run()).toEqual(['step-kept 1/2', 'step-started 2/2', 'step-done 2/2']);
  });

  it('starts from nothing where a killed build left half a step', async () => {
    await mkdir(join(state, 'work/kernel'), { recursive: true });
    await writeFile(join(state, 'work/kernel/half'), '');
    await run();
    const output = join(state, 'cache', `kernel-${digestOf('1')}`);
    expect((await readdir(output)).sort()).toEqual(['kernel', 'output.json']);
    expect(await readdir(state)).not.toContain('work');
  });

  it('gives a step only what it says that it needs', async () => {
    const curious: Partial<Executors> = {
      kernel: async (_step, { input }) => {
        input('facts');
      },
    };
    await expect(run(curious)).rejects.toThrow('kernel needs no facts');
  });

  const damages: [string, (file: string) => Promise<void>, string][] = [
    ['truncated', (file) => writeFile(file, ''), 'kernel has 0 bytes instead of 1'],
    ['changed', (file) => writeFile(file, 'x'), 'kernel holds other bytes'],
    ['lost', (file) => rm(file), 'kernel is missing'],
  ];
  it.each(damages)(
    'makes a kept output anew that was %s, and says so',
    async (_how, damage, why) => {
      await run();
      await damage(join(state, 'cache', `kernel-${digestOf('1')}`, 'kernel'));
      // Something must read it: what nobody reads may be as it is.
      await rm(join(state, 'cache', `facts-${digestOf('2')}`), { recursive: true });
      expect(await run()).toEqual([
        `the kept output of kernel is damaged (${why}) and is made anew`,
        ...['step-started 1/2', 'step-done 1/2', 'step-started 2/2', 'step-done 2/2'],
      ]);
    },
  );

  it('does no step whose output only finished steps would read', async () => {
    await run();
    await rm(join(state, 'cache', `kernel-${digestOf('1')}`), { recursive: true });
    expect(await run()).toEqual(['step-kept 2/2']);
  });

  it('keeps no output that the plan does not name', async () => {
    await run();
    await mkdir(join(state, 'cache', 'trim-of-yesterday'));
    const named = steps.map(({ kind, key }) => `${kind}-${key}`);
    await sweepCache(join(state, 'cache'), new Set(named));
    expect((await cached()).sort()).toEqual(['facts-d4', 'kernel-6']);
  });
});
